"""A client of mesh.examples.v1.Greeter on stock gRPC, for xds:/// and any other target.

Alone it makes one burst of calls, or a load for a while, and prints a report as one line of JSON. With --interactive it
prints {"ready": true} and then answers each line of JSON on its standard input with one on its standard output, on one
channel, until its input is closed:

  {"do": "call", "calls": 100, "concurrency": 1, "method": "SayHello", "metadata": [["key", "value"]], "timeout": 10,
   "wait_for_ready": false}     a burst, answered with its report
  {"do": "start", "qps": 50, ...}, {"do": "report"}, {"do": "stop"}     a load in the background
  {"do": "csds"}     what the xDS client holds

An order that cannot be followed is answered with {"problem": "..."}. With INTEROP_XDS=1 the control plane of its bootstrap
tells it how connections are secured.
"""

import argparse
import json
import os
import sys
import time

import grpc
import grpc.experimental

from calls import Load, burst
from csds import dump


def pair(text):
    key, separator, value = text.partition("=")
    if not separator:
        raise argparse.ArgumentTypeError("expected key=value")
    return key, value


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--target", required=True, help="for example xds:///greeter")
    parser.add_argument("--interactive", action="store_true", help="take orders from standard input")
    parser.add_argument("--calls", type=int, default=1)
    parser.add_argument("--concurrency", type=int, default=1)
    parser.add_argument("--method", default="SayHello", choices=["SayHello", "SayHellos", "GatherHellos", "Chat"])
    parser.add_argument("--metadata", type=pair, action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--timeout", type=float, default=10, help="seconds")
    parser.add_argument("--wait-for-ready", action="store_true")
    parser.add_argument("--qps", type=float, default=50, help="with --duration")
    parser.add_argument("--duration", type=float, default=0, help="seconds of load instead of a burst; -1: until input ends")
    parser.add_argument("--csds", action="store_true", help="add what the xDS client holds to the report")
    return parser.parse_args()


def one_shot(channel, arguments):
    order = vars(arguments)
    if arguments.duration == 0:
        report = burst(channel, order)
    else:
        load = Load(channel, order)
        if arguments.duration < 0:
            sys.stdin.read()
        else:
            time.sleep(arguments.duration)
        report = load.stop()
    if arguments.csds:
        report["csds"] = dump()
    print(json.dumps(report), flush=True)


class Session:
    """Follows orders on one channel."""

    def __init__(self, channel):
        self._channel = channel
        self._load = None

    def follow(self, order):
        match order:
            case {"do": "call"}:
                return burst(self._channel, order)
            case {"do": "start"} if self._load is None:
                self._load = Load(self._channel, order)
                return {"started": True}
            case {"do": "report"} if self._load is not None:
                return self._load.report()
            case {"do": "stop"} if self._load is not None:
                load, self._load = self._load, None
                return load.stop()
            case {"do": "csds"}:
                return {"csds": dump()}
        return {"problem": f"cannot follow {order!r}"}


def interactive(channel):
    session = Session(channel)
    print(json.dumps({"ready": True}), flush=True)
    for line in sys.stdin:
        try:
            answer = session.follow(json.loads(line))
        except Exception as error:  # The one who gives orders must hear of it, whatever it is.
            answer = {"problem": repr(error)}
        print(json.dumps(answer), flush=True)


def connect(target):
    if os.environ.get("INTEROP_XDS") != "1":
        return grpc.insecure_channel(target)
    return grpc.secure_channel(target, grpc.xds_channel_credentials(grpc.experimental.insecure_channel_credentials()))


def main():
    arguments = parse()
    with connect(arguments.target) as channel:
        if arguments.interactive:
            interactive(channel)
        else:
            one_shot(channel, arguments)


if __name__ == "__main__":
    main()
