"""An xDS server on stock gRPC that does what it is told: ADS in both variants, and a sink for load reports.

Made from the xDS protocol's document, for tests of clients. It prints one line of JSON for each thing that happens:

  {"event": "listening", "address": "127.0.0.1:PORT"}
  {"event": "opened", "stream": 1, "variant": "sotw"}, {"event": "closed", "stream": 1}
  {"event": "request", "stream": 1, "type": "cds", "answer": "subscription" | "ack" | "nack" | "stale", "names": [..],
   "nonce": "", "error": "", "code": "OK", ..}      sotw: "version"; delta: "unsubscribed", "held"; at first: "node"
  {"event": "load", "node": {..}} at first, then {"event": "load", "clusters": [..]}
  {"event": "done"}, {"event": "done", "problem": ".."}      the answer to each order

and takes orders, each a line of JSON on its standard input, until that is closed. Types are lds, rds, cds, eds or a type
URL, a resource is JSON with "@type".

  {"do": "set", "resources": [..], "version": "7"}     adds or replaces, and tells all who are subscribed
  {"do": "remove", "type": "cds", "names": [..]}
  {"do": "send", "type": "cds", "resources": [..], "removed": [..], "version": "7", "nonce": "n"}
      exactly this, on the newest stream; in delta each resource is {"name": .., "version": .., "resource": {..}, "ttl": "1s"}
  {"do": "silence", "types": ["cds"]}, {"do": "speak"}     holds back all responses of these types, and sends them
  {"do": "close"}     ends all streams; {"do": "stop"}, {"do": "listen"}     leaves the port, and comes back to it
  {"do": "stop_at", "type": "cds"}     leaves the port when the type is next subscribed to, instead of an answer
  {"do": "loads", "clusters": [..], "interval": 0.5}     asks the next client for loads of these, of all without names
"""

import argparse
import asyncio
import datetime
import json
import sys

import grpc
from google.protobuf import json_format

from envoy.service.discovery.v3 import ads_pb2_grpc
from envoy.service.load_stats.v3 import lrs_pb2, lrs_pb2_grpc
from xds_resources import Resources
from xds_streams import DeltaStream, SotwStream


class Discovery(ads_pb2_grpc.AggregatedDiscoveryServiceServicer):
    """The streams that are open, and what they may say."""

    def __init__(self, report):
        self.report = report
        self.resources = Resources()
        self._streams = {}
        self._silent = set()
        self._stop_at = None
        self.leave = None

    async def StreamAggregatedResources(self, _requests, context):
        await self._serve(SotwStream(self, context), context)

    async def DeltaAggregatedResources(self, _requests, context):
        await self._serve(DeltaStream(self, context), context)

    async def _serve(self, stream, context):
        closing = asyncio.Event()
        self._streams[stream] = closing
        self.report({"event": "opened", "stream": stream.number, "variant": stream.variant})
        closed = asyncio.ensure_future(closing.wait())
        try:
            while True:
                reading = asyncio.ensure_future(context.read())
                await asyncio.wait({reading, closed}, return_when=asyncio.FIRST_COMPLETED)
                if closed.done():
                    reading.cancel()
                    return
                request = reading.result()
                if request is grpc.aio.EOF:
                    return
                await stream.on_request(request)
        finally:
            closed.cancel()
            self._streams.pop(stream, None)
            self.report({"event": "closed", "stream": stream.number})

    async def on_subscription(self, stream, short):
        if short == self._stop_at:
            self._stop_at = None
            self._silent = {"*"}
            # Not here: leaving waits for this very stream.
            self.leave()
        if not self._is_silent(short):
            await stream.speak(short)

    def _is_silent(self, short):
        return short in self._silent or "*" in self._silent

    async def tell(self, changed):
        for short, names in changed.items():
            for stream in list(self._streams):
                stream.owe(short, names)
                if not self._is_silent(short):
                    await stream.speak(short)

    async def send(self, order):
        stream = max(self._streams, key=lambda stream: stream.number)
        keys = {key: order[key] for key in ("version", "nonce", "removed") if key in order}
        await stream.send(order["type"], order["resources"], **keys)

    def silence(self, types):
        self._silent = set(types)

    async def speak(self):
        self._silent = set()
        for stream in list(self._streams):
            for short in ("cds", "eds", "lds", "rds"):
                await stream.speak(short)

    def stop_at(self, short):
        self._stop_at = short

    def close(self):
        for closing in self._streams.values():
            closing.set()


class Loads(lrs_pb2_grpc.LoadReportingServiceServicer):
    """Asks for loads, and reports them."""

    def __init__(self, report):
        self._report = report
        self.clusters = []
        self.interval = 0.5

    async def StreamLoadStats(self, _requests, context):
        first = await context.read()
        self._report({"event": "load", "node": _as_json(first.node)})
        response = lrs_pb2.LoadStatsResponse(clusters=self.clusters, send_all_clusters=not self.clusters)
        response.load_reporting_interval.FromTimedelta(datetime.timedelta(seconds=self.interval))
        await context.write(response)
        while (request := await context.read()) is not grpc.aio.EOF:
            self._report({"event": "load", "clusters": [_as_json(one) for one in request.cluster_stats]})


def _as_json(message):
    return json_format.MessageToDict(message, preserving_proto_field_name=True)


class Server:
    """Follows orders, and keeps its port."""

    def __init__(self, report):
        self._report = report
        self._discovery = Discovery(report)
        self._discovery.leave = lambda: asyncio.ensure_future(self.stop())
        self._loads = Loads(report)
        self._port = 0
        self._server = None

    async def listen(self, port=None):
        # Two servers on one port would share it in silence; clients may send pings as often as they like.
        options = [("grpc.so_reuseport", 0), ("grpc.http2.min_ping_interval_without_data_ms", 1000)]
        self._server = grpc.aio.server(options=options)
        ads_pb2_grpc.add_AggregatedDiscoveryServiceServicer_to_server(self._discovery, self._server)
        lrs_pb2_grpc.add_LoadReportingServiceServicer_to_server(self._loads, self._server)
        self._port = self._server.add_insecure_port(f"127.0.0.1:{port or self._port}")
        await self._server.start()
        self._report({"event": "listening", "address": f"127.0.0.1:{self._port}"})

    async def stop(self):
        server, self._server = self._server, None
        if server is not None:
            await server.stop(None)
            self._report({"event": "stopped"})

    async def follow(self, order):
        match order["do"]:
            case "set":
                await self._discovery.tell(self._discovery.resources.set(order["resources"], order.get("version")))
            case "remove":
                await self._discovery.tell(self._discovery.resources.remove(order["type"], order["names"]))
            case "send":
                await self._discovery.send(order)
            case "silence":
                self._discovery.silence(order["types"])
            case "speak":
                await self._discovery.speak()
            case "close":
                self._discovery.close()
            case "stop":
                await self.stop()
            case "listen":
                self._discovery.silence([])
                await self.listen()
            case "stop_at":
                self._discovery.stop_at(order["type"])
            case "loads":
                self._loads.clusters = order.get("clusters", [])
                self._loads.interval = order.get("interval", 0.5)
            case other:
                raise ValueError(f"cannot do {other!r}")


def say(event):
    print(json.dumps(event), flush=True)


async def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--port", type=int, default=0, help="0 takes any free one")
    arguments = parser.parse_args()
    server = Server(say)
    await server.listen(arguments.port)
    lines = asyncio.StreamReader(limit=1 << 26)
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    while line := await lines.readline():
        try:
            await server.follow(json.loads(line))
        except Exception as error:  # The one who gives orders must hear of it, whatever it is.
            say({"event": "done", "problem": repr(error)})
        else:
            say({"event": "done"})
    await server.stop()


if __name__ == "__main__":
    asyncio.run(main())
