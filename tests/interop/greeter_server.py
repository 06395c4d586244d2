"""One endpoint of mesh.examples.v1.Greeter on stock gRPC.

Prints {"address": "127.0.0.1:PORT", "port": PORT} on one line when it listens. Ends on SIGTERM, and when its standard
input is closed, so that it never outlives the test that started it. With INTEROP_XDS=1 the control plane of its bootstrap
tells it whom to serve, and how connections are secured.
"""

import argparse
import json
import os
import signal
import sys
import threading
from concurrent import futures

import grpc

from behavior import apply
from greeter_proto import messages, services


class Greeter(services.GreeterServicer):
    def __init__(self, arguments):
        self.name = arguments.name
        self.version = arguments.version
        self._to_fail = arguments.fail_times
        self._lock = threading.Lock()

    def _behave(self, context):
        with self._lock:
            failing = self._to_fail > 0
            self._to_fail -= failing
        if failing:
            context.abort(grpc.StatusCode.UNAVAILABLE, "one of the first calls")
        apply(context, self.name)

    def _reply(self, name):
        return messages.HelloReply(message=f"hello {name}", endpoint=self.name, version=self.version)

    def SayHello(self, request, context):
        self._behave(context)
        return self._reply(request.name)

    def SayHellos(self, request, context):
        self._behave(context)
        for _ in range(max(request.count, 1)):
            yield self._reply(request.name)

    def GatherHellos(self, requests, context):
        self._behave(context)
        return self._reply(", ".join(request.name for request in requests))

    def Chat(self, requests, context):
        self._behave(context)
        for request in requests:
            yield self._reply(request.name)


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--port", type=int, default=0, help="0 takes any free one")
    parser.add_argument("--name", default="greeter", help="how it names itself in replies")
    parser.add_argument("--version", default="v1", help="which version it says it is")
    parser.add_argument("--fail-times", type=int, default=0, help="fail this many calls with UNAVAILABLE first")
    return parser.parse_args()


def main():
    arguments = parse()
    stopped = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopped.set())
    # Two servers on one port would share it in silence.
    xds = os.environ.get("INTEROP_XDS") == "1"
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=64), options=[("grpc.so_reuseport", 0)], xds=xds)
    services.add_GreeterServicer_to_server(Greeter(arguments), server)
    address = f"127.0.0.1:{arguments.port}"
    if xds:
        credentials = grpc.xds_server_credentials(grpc.insecure_server_credentials())
        # The port that it returns is known only once the control plane has answered.
        server.add_secure_port(address, credentials)
        port = arguments.port
    else:
        port = server.add_insecure_port(address)
    server.start()
    print(json.dumps({"address": f"127.0.0.1:{port}", "port": port}), flush=True)

    def end_with_stdin():
        sys.stdin.read()
        stopped.set()

    threading.Thread(target=end_with_stdin, daemon=True).start()
    # A wait without a bound would keep the main thread from seeing signals on some platforms.
    while not stopped.wait(0.5):
        pass
    server.stop(grace=5).wait()


if __name__ == "__main__":
    main()
