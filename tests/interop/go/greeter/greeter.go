// Package greeter is the service mesh.examples.v1.Greeter of examples/proto/greeter.proto. Its messages are encoded by
// hand, so that no protobuf compiler is needed.
package greeter

import (
	"fmt"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/encoding/protowire"
)

// Service is the service's full name.
const Service = "mesh.examples.v1.Greeter"

// Methods are the service's methods. The one with neither kind of stream is unary.
var Methods = map[string]grpc.StreamDesc{
	"SayHello":     {StreamName: "SayHello"},
	"SayHellos":    {StreamName: "SayHellos", ServerStreams: true},
	"GatherHellos": {StreamName: "GatherHellos", ClientStreams: true},
	"Chat":         {StreamName: "Chat", ServerStreams: true, ClientStreams: true},
}

// Request is a HelloRequest.
type Request struct {
	Name  string
	Count uint32
}

// Reply is a HelloReply.
type Reply struct {
	Message  string
	Endpoint string
	Version  string
}

type message interface {
	encode() []byte
	decode(number protowire.Number, text string, count uint64)
}

func (r *Request) encode() []byte {
	return appendCount(appendText(nil, 1, r.Name), 2, r.Count)
}

func (r *Request) decode(number protowire.Number, text string, count uint64) {
	switch number {
	case 1:
		r.Name = text
	case 2:
		r.Count = uint32(count)
	}
}

func (r *Reply) encode() []byte {
	return appendText(appendText(appendText(nil, 1, r.Message), 2, r.Endpoint), 3, r.Version)
}

func (r *Reply) decode(number protowire.Number, text string, _ uint64) {
	switch number {
	case 1:
		r.Message = text
	case 2:
		r.Endpoint = text
	case 3:
		r.Version = text
	}
}

func appendText(to []byte, number protowire.Number, text string) []byte {
	return protowire.AppendString(protowire.AppendTag(to, number, protowire.BytesType), text)
}

func appendCount(to []byte, number protowire.Number, count uint32) []byte {
	return protowire.AppendVarint(protowire.AppendTag(to, number, protowire.VarintType), uint64(count))
}

// Codec encodes Request and Reply.
type Codec struct{}

// Name is the content subtype.
func (Codec) Name() string { return "proto" }

// Marshal encodes a *Request or a *Reply.
func (Codec) Marshal(value any) ([]byte, error) {
	known, ok := value.(message)
	if !ok {
		return nil, fmt.Errorf("%T is no message of the greeter", value)
	}
	return known.encode(), nil
}

// Unmarshal decodes into a new *Request or *Reply. Unknown fields are ignored.
func (Codec) Unmarshal(data []byte, value any) error {
	known, ok := value.(message)
	if !ok {
		return fmt.Errorf("%T is no message of the greeter", value)
	}
	for len(data) > 0 {
		number, kind, size := protowire.ConsumeTag(data)
		if size < 0 {
			return protowire.ParseError(size)
		}
		data = data[size:]
		var text string
		var count uint64
		switch kind {
		case protowire.BytesType:
			text, size = protowire.ConsumeString(data)
		case protowire.VarintType:
			count, size = protowire.ConsumeVarint(data)
		default:
			size = protowire.ConsumeFieldValue(number, kind, data)
		}
		if size < 0 {
			return protowire.ParseError(size)
		}
		known.decode(number, text, count)
		data = data[size:]
	}
	return nil
}
