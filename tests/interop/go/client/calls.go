package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"google.golang.org/genproto/googleapis/rpc/code"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"interop/greeter"
)

// keptErrors is how many failures a report shows in full.
const keptErrors = 5

type order struct {
	Do           string      `json:"do"`
	Method       string      `json:"method"`
	Calls        int         `json:"calls"`
	Concurrency  int         `json:"concurrency"`
	Rate         float64     `json:"qps"`
	Metadata     [][2]string `json:"metadata"`
	Timeout      float64     `json:"timeout"`
	WaitForReady bool        `json:"wait_for_ready"`
}

type report struct {
	Calls     int                `json:"calls"`
	Codes     map[string]int     `json:"codes"`
	Endpoints map[string]int     `json:"endpoints"`
	Versions  map[string]int     `json:"versions"`
	Errors    []string           `json:"errors"`
	Latency   map[string]float64 `json:"latency_ms"`
}

// tally counts outcomes; goroutines share it.
type tally struct {
	mutex     sync.Mutex
	codes     map[string]int
	endpoints map[string]int
	versions  map[string]int
	errors    []string
	latencies []time.Duration
}

func newTally() *tally {
	return &tally{codes: map[string]int{}, endpoints: map[string]int{}, versions: map[string]int{}, errors: []string{}}
}

func (t *tally) ended(reply greeter.Reply, err error, took time.Duration) {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	// The name that gRPC's specification gives the code; Go's own is another.
	name := code.Code(status.Code(err)).String()
	t.codes[name]++
	t.latencies = append(t.latencies, took)
	if err == nil {
		t.endpoints[reply.Endpoint]++
		t.versions[reply.Version]++
	} else if len(t.errors) < keptErrors {
		t.errors = append(t.errors, fmt.Sprintf("%s: %s", name, status.Convert(err).Message()))
	}
}

func (t *tally) report() report {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	latencies := slices.Sorted(slices.Values(t.latencies))
	latency := map[string]float64{}
	for name, share := range map[string]float64{"p50": 0.5, "p99": 0.99, "max": 1} {
		if count := len(latencies); count > 0 {
			at := min(int(float64(count)*share), count-1)
			latency[name] = latencies[at].Seconds() * 1000
		}
	}
	return report{
		Calls:     len(latencies),
		Codes:     copied(t.codes),
		Endpoints: copied(t.endpoints),
		Versions:  copied(t.versions),
		Errors:    slices.Clone(t.errors),
		Latency:   latency,
	}
}

func copied(counts map[string]int) map[string]int {
	all := make(map[string]int, len(counts))
	for name, count := range counts {
		all[name] = count
	}
	return all
}

// caller makes calls of one kind on one channel.
type caller struct {
	channel *grpc.ClientConn
	method  grpc.StreamDesc
	order   order
	tally   *tally
}

func newCaller(channel *grpc.ClientConn, order order) (*caller, error) {
	method, ok := greeter.Methods[order.Method]
	if !ok {
		return nil, fmt.Errorf("the greeter has no method %q", order.Method)
	}
	return &caller{channel: channel, method: method, order: order, tally: newTally()}, nil
}

func (c *caller) one() {
	began := time.Now()
	reply, err := c.call()
	c.tally.ended(reply, err, time.Since(began))
}

// call gives the last reply.
func (c *caller) call() (greeter.Reply, error) {
	var last greeter.Reply
	timeout := time.Duration(c.order.Timeout * float64(time.Second))
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	for _, pair := range c.order.Metadata {
		ctx = metadata.AppendToOutgoingContext(ctx, pair[0], pair[1])
	}
	path := "/" + greeter.Service + "/" + c.method.StreamName
	stream, err := c.channel.NewStream(ctx, &c.method, path, grpc.WaitForReady(c.order.WaitForReady))
	if err != nil {
		return last, err
	}
	// A stream that has failed already says io.EOF here, and why when it is read.
	if err := stream.SendMsg(&greeter.Request{Name: "go", Count: 1}); err != nil && err != io.EOF {
		return last, err
	}
	if err := stream.CloseSend(); err != nil {
		return last, err
	}
	for {
		var reply greeter.Reply
		if err := stream.RecvMsg(&reply); err == io.EOF {
			return last, nil
		} else if err != nil {
			return last, err
		}
		last = reply
		if !c.method.ServerStreams {
			return last, nil
		}
	}
}

// burst makes order.Calls calls, order.Concurrency at a time.
func burst(channel *grpc.ClientConn, order order) (report, error) {
	caller, err := newCaller(channel, order)
	if err != nil {
		return report{}, err
	}
	due := make(chan struct{}, order.Calls)
	for range order.Calls {
		due <- struct{}{}
	}
	close(due)
	var workers sync.WaitGroup
	for range order.Concurrency {
		workers.Go(func() {
			for range due {
				caller.one()
			}
		})
	}
	workers.Wait()
	return caller.tally.report(), nil
}

// load makes order.Rate calls a second until it is stopped.
type load struct {
	caller  *caller
	stopped chan struct{}
	running sync.WaitGroup
}

func startLoad(channel *grpc.ClientConn, order order) (*load, error) {
	caller, err := newCaller(channel, order)
	if err != nil {
		return nil, err
	}
	load := &load{caller: caller, stopped: make(chan struct{})}
	load.running.Go(func() {
		ticker := time.NewTicker(time.Duration(float64(time.Second) / order.Rate))
		defer ticker.Stop()
		for {
			select {
			case <-ticker.C:
				load.running.Go(caller.one)
			case <-load.stopped:
				return
			}
		}
	})
	return load, nil
}

func (l *load) stop() report {
	close(l.stopped)
	l.running.Wait()
	return l.caller.tally.report()
}
