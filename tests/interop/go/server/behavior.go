package main

import (
	"context"
	"strconv"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// behave does what the call's metadata rpc-behavior asks for, as gRPC's interoperability servers understand it: sleep-N[ms],
// error-code-N, succeed-on-retry-attempt-N, hostname=NAME, keep-open. An error ends the call.
func behave(ctx context.Context, name string) error {
	received, _ := metadata.FromIncomingContext(ctx)
	attempt := 0
	for _, value := range received.Get("grpc-previous-rpc-attempts") {
		attempt, _ = strconv.Atoi(value)
	}
	code := codes.OK
	for _, values := range received.Get("rpc-behavior") {
		var err error
		if code, err = behaveAs(ctx, strings.Split(values, ","), name, attempt, code); err != nil {
			return err
		}
	}
	if code != codes.OK {
		return status.Error(code, "as rpc-behavior asked")
	}
	return nil
}

// behaveAs follows values in order, up to one that is for another server. It gives the code to end with, or an error that ends
// the call now.
func behaveAs(ctx context.Context, values []string, name string, attempt int, code codes.Code) (codes.Code, error) {
	for _, value := range values {
		value = strings.TrimSpace(value)
		if host, isHost := strings.CutPrefix(value, "hostname="); isHost {
			if host != name {
				return code, nil
			}
			continue
		}
		if value == "keep-open" {
			<-ctx.Done()
			return code, status.FromContextError(ctx.Err()).Err()
		}
		at := strings.LastIndexByte(value, '-')
		kind, argument := value[:max(at, 0)], value[at+1:]
		number, unit := argument, time.Second
		if text, isShort := strings.CutSuffix(argument, "ms"); isShort && kind == "sleep" {
			number, unit = text, time.Millisecond
		}
		count, err := strconv.Atoi(number)
		switch {
		case kind == "error-code" && err == nil:
			code = codes.Code(count)
		case kind == "succeed-on-retry-attempt" && err == nil:
			if attempt >= count {
				code = codes.OK
			}
		case kind == "sleep" && err == nil:
			select {
			case <-time.After(time.Duration(count) * unit):
			case <-ctx.Done():
				return code, status.FromContextError(ctx.Err()).Err()
			}
		default:
			return code, status.Errorf(codes.InvalidArgument, "rpc-behavior %q is not understood", value)
		}
	}
	return code, nil
}
