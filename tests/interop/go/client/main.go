// A client of mesh.examples.v1.Greeter on stock gRPC for Go, for xds:/// and any other target.
//
// "client TARGET" prints {"ready": true} and then answers each line of JSON on its standard input with one on its standard
// output, on one channel, until its input is closed. The orders are those of ../greeter_client.py, and so is INTEROP_XDS=1.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"log"
	"os"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	xdscredentials "google.golang.org/grpc/credentials/xds"
	_ "google.golang.org/grpc/xds" // The resolver of xds:///.

	"interop/greeter"
)

type session struct {
	channel *grpc.ClientConn
	load    *load
}

func (s *session) follow(line []byte) (any, error) {
	order := order{Method: "SayHello", Calls: 1, Concurrency: 1, Rate: 50, Timeout: 10}
	if err := json.Unmarshal(line, &order); err != nil {
		return nil, err
	}
	switch {
	case order.Do == "call":
		return burst(s.channel, order)
	case order.Do == "start" && s.load == nil:
		load, err := startLoad(s.channel, order)
		s.load = load
		return map[string]bool{"started": true}, err
	case order.Do == "report" && s.load != nil:
		return s.load.caller.tally.report(), nil
	case order.Do == "stop" && s.load != nil:
		load := s.load
		s.load = nil
		return load.stop(), nil
	case order.Do == "csds":
		held, err := held()
		return map[string]any{"csds": held}, err
	}
	return nil, fmt.Errorf("cannot follow %s", line)
}

func transportCredentials() (credentials.TransportCredentials, error) {
	fallback := insecure.NewCredentials()
	if os.Getenv("INTEROP_XDS") != "1" {
		return fallback, nil
	}
	return xdscredentials.NewClientCredentials(xdscredentials.ClientOptions{FallbackCreds: fallback})
}

func main() {
	if len(os.Args) != 2 {
		log.Fatal("usage: client TARGET, for example xds:///greeter")
	}
	credentials, err := transportCredentials()
	if err != nil {
		log.Fatal(err)
	}
	channel, err := grpc.NewClient(
		os.Args[1],
		grpc.WithTransportCredentials(credentials),
		grpc.WithDefaultCallOptions(grpc.ForceCodec(greeter.Codec{})),
	)
	if err != nil {
		log.Fatal(err)
	}
	defer channel.Close()
	session := session{channel: channel}
	answers := json.NewEncoder(os.Stdout)
	say := func(answer any) {
		if err := answers.Encode(answer); err != nil {
			log.Fatal(err)
		}
	}
	say(map[string]bool{"ready": true})
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		answer, err := session.follow(lines.Bytes())
		if err != nil {
			answer = map[string]string{"problem": err.Error()}
		}
		say(answer)
	}
}
