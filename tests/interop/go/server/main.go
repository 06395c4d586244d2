// One endpoint of mesh.examples.v1.Greeter on stock gRPC for Go.
//
// It prints {"address": "127.0.0.1:PORT", "port": PORT} on one line when it listens. It ends on SIGTERM, and when its
// standard input is closed, so that it never outlives the test that started it. With INTEROP_XDS=1 the control plane of its
// bootstrap tells it whom to serve, and how connections are secured.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"os/signal"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	xdscredentials "google.golang.org/grpc/credentials/xds"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/xds"

	"interop/greeter"
)

// How long running calls have to end when the server does.
const grace = 5 * time.Second

type endpoint struct {
	name    string
	version string
	toFail  atomic.Int64
}

func (e *endpoint) serve(method string, stream grpc.ServerStream) error {
	if e.toFail.Add(-1) >= 0 {
		return status.Error(codes.Unavailable, "one of the first calls")
	}
	if err := behave(stream.Context(), e.name); err != nil {
		return err
	}
	switch method {
	case "GatherHellos":
		return e.gather(stream)
	case "Chat":
		return e.chat(stream)
	}
	var request greeter.Request
	if err := stream.RecvMsg(&request); err != nil {
		return err
	}
	replies := uint32(1)
	if method == "SayHellos" {
		replies = max(request.Count, 1)
	}
	for range replies {
		if err := e.reply(stream, request.Name); err != nil {
			return err
		}
	}
	return nil
}

func (e *endpoint) gather(stream grpc.ServerStream) error {
	var names []string
	for {
		var request greeter.Request
		err := stream.RecvMsg(&request)
		if err == io.EOF {
			return e.reply(stream, strings.Join(names, ", "))
		}
		if err != nil {
			return err
		}
		names = append(names, request.Name)
	}
}

func (e *endpoint) chat(stream grpc.ServerStream) error {
	for {
		var request greeter.Request
		err := stream.RecvMsg(&request)
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if err := e.reply(stream, request.Name); err != nil {
			return err
		}
	}
}

func (e *endpoint) reply(stream grpc.ServerStream, name string) error {
	return stream.SendMsg(&greeter.Reply{Message: "hello " + name, Endpoint: e.name, Version: e.version})
}

func (e *endpoint) description() *grpc.ServiceDesc {
	description := &grpc.ServiceDesc{ServiceName: greeter.Service, HandlerType: (*any)(nil)}
	for name, method := range greeter.Methods {
		method.Handler = func(_ any, stream grpc.ServerStream) error { return e.serve(name, stream) }
		description.Streams = append(description.Streams, method)
	}
	return description
}

func main() {
	port := flag.Int("port", 0, "0 takes any free one")
	name := flag.String("name", "greeter", "how it names itself in replies")
	version := flag.String("version", "v1", "which version it says it is")
	failTimes := flag.Int64("fail-times", 0, "fail this many calls with UNAVAILABLE first")
	flag.Parse()

	listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", *port))
	if err != nil {
		log.Fatal(err)
	}
	own := &endpoint{name: *name, version: *version}
	own.toFail.Store(*failTimes)
	server, err := newServer()
	if err != nil {
		log.Fatal(err)
	}
	server.RegisterService(own.description(), own)
	go endWhenAsked(server)

	address := listener.Addr().(*net.TCPAddr)
	listening := map[string]any{"address": address.String(), "port": address.Port}
	if err := json.NewEncoder(os.Stdout).Encode(listening); err != nil {
		log.Fatal(err)
	}
	if err := server.Serve(listener); err != nil {
		log.Fatal(err)
	}
}

// What servers with and without a control plane have in common.
type server interface {
	RegisterService(*grpc.ServiceDesc, any)
	Serve(net.Listener) error
	GracefulStop()
	Stop()
}

func newServer() (server, error) {
	codec := grpc.ForceServerCodec(greeter.Codec{})
	if os.Getenv("INTEROP_XDS") != "1" {
		return grpc.NewServer(codec), nil
	}
	credentials, err := xdscredentials.NewServerCredentials(
		xdscredentials.ServerOptions{FallbackCreds: insecure.NewCredentials()})
	if err != nil {
		return nil, err
	}
	return xds.NewGRPCServer(codec, grpc.Creds(credentials))
}

func endWhenAsked(server server) {
	asked := make(chan os.Signal, 2)
	signal.Notify(asked, syscall.SIGTERM)
	go func() {
		// Whatever ends the input, the server ends.
		_, _ = io.Copy(io.Discard, os.Stdin)
		asked <- syscall.SIGTERM
	}()
	<-asked
	time.AfterFunc(grace, server.Stop)
	server.GracefulStop()
}
