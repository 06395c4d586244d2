"""Both variants of ADS, as the xDS protocol's document describes the server's side. One object per stream."""

import asyncio
import itertools

from google.protobuf import json_format
from google.rpc import code_pb2

from envoy.service.discovery.v3 import discovery_pb2
from xds_resources import FULL_STATE, packed, short_name, type_url


class _Type:
    """One type on one stream."""

    def __init__(self):
        self.names = set()
        # Subscribed or changed, and not spoken of yet.
        self.owed = set()
        # Whether any of it has changed, or gone.
        self.changed = False
        self.nonce = None
        self.unanswered = False


class _Stream:
    _numbers = itertools.count(1)

    def __init__(self, server, context):
        self.number = next(self._numbers)
        self._server = server
        self._context = context
        self._types = {}
        self._nonces = itertools.count(1)
        self._node_seen = False
        # gRPC takes one message at a time: what an order brings about waits for the answer to a request.
        self._writing = asyncio.Lock()

    async def on_request(self, request):
        short = short_name(request.type_url)
        first = short not in self._types
        state = self._types.setdefault(short, _Type())
        answer = self._take_answer(state, request)
        said = {
            "event": "request",
            "stream": self.number,
            "type": short,
            "answer": answer,
            "nonce": request.response_nonce,
            "error": request.error_detail.message,
            "code": code_pb2.Code.Name(request.error_detail.code),
            **self._details(request),
        }
        if request.HasField("node") and not self._node_seen:
            self._node_seen = True
            said["node"] = json_format.MessageToDict(request.node, preserving_proto_field_name=True)
        self._server.report(said)
        # A request that does not know the latest response is superseded by the one that answers it.
        if answer != "stale":
            state.owed |= self._subscribe(state, request, first)
            await self._server.on_subscription(self, short)

    def _take_answer(self, state, request):
        if not request.response_nonce:
            return "subscription"
        if request.response_nonce != state.nonce:
            return "stale"
        answered, state.unanswered = state.unanswered, False
        if request.HasField("error_detail"):
            return "nack"
        return "ack" if answered else "subscription"

    def owe(self, short, changed):
        """Takes note of what has changed, if it is of interest here."""
        state = self._types.get(short)
        if state is not None and state.names & changed:
            state.owed |= state.names & changed
            state.changed = True

    async def speak(self, short):
        """Says what is owed."""
        state = self._types.get(short)
        if state is not None and state.owed:
            names, state.owed = state.owed & state.names, set()
            changed, state.changed = state.changed, False
            await self._tell(short, state, names, changed)

    def _begin(self, short, nonce):
        state = self._types.setdefault(short, _Type())
        state.nonce = nonce or f"{self.number}-{next(self._nonces)}"
        state.unanswered = True
        return state.nonce

    async def _write(self, response):
        async with self._writing:
            # Who has left in the meantime is told nothing.
            if not self._context.done():
                await self._context.write(response)


class SotwStream(_Stream):
    """State of the world."""

    variant = "sotw"

    @staticmethod
    def _details(request):
        return {"names": list(request.resource_names), "version": request.version_info}

    @staticmethod
    def _subscribe(state, request, _first):
        new = set(request.resource_names) - state.names
        state.names = set(request.resource_names)
        return new

    async def _tell(self, short, state, names, changed):
        full = short in FULL_STATE
        found = self._server.resources.of(short, state.names if full else names)
        # Absence is said by what is left out, and only of what was there.
        if found or (full and changed):
            await self.send(short, [value for _, value, _ in found])

    async def send(self, short, resources, version=None, nonce=None, removed=()):
        """A response with these resources, whatever they are."""
        assert not removed, "state of the world removes by leaving out"
        version = version or self._server.resources.version(short)
        response = discovery_pb2.DiscoveryResponse(
            version_info=version,
            type_url=type_url(short),
            nonce=self._begin(short, nonce),
            resources=[packed(one) if isinstance(one, dict) else one for one in resources],
        )
        await self._write(response)


class DeltaStream(_Stream):
    """Incremental."""

    variant = "delta"

    @staticmethod
    def _details(request):
        return {
            "names": list(request.resource_names_subscribe),
            "unsubscribed": list(request.resource_names_unsubscribe),
            "held": dict(request.initial_resource_versions),
        }

    def _subscribe(self, state, request, first):
        state.names |= set(request.resource_names_subscribe)
        state.names -= set(request.resource_names_unsubscribe)
        owed = set(request.resource_names_subscribe)
        if first:
            # What the client brought along in the version that there is needs no word.
            known = self._server.resources.of(short_name(request.type_url), owed)
            held = request.initial_resource_versions
            owed -= {name for name, _, version in known if held.get(name) == version}
        return owed

    async def _tell(self, short, _state, names, _changed):
        found = self._server.resources.of(short, names)
        absent = names - {name for name, _, _ in found}
        if found or absent:
            wrapped = [
                discovery_pb2.Resource(name=name, version=version, resource=value) for name, value, version in found
            ]
            await self.send(short, wrapped, removed=absent)

    async def send(self, short, resources, version=None, nonce=None, removed=()):
        """A response with these resources, each wrapped already, whatever they are."""
        response = discovery_pb2.DeltaDiscoveryResponse(
            system_version_info=version or self._server.resources.version(short),
            type_url=type_url(short),
            nonce=self._begin(short, nonce),
            resources=[_wrapped(one) if isinstance(one, dict) else one for one in resources],
            removed_resources=sorted(removed),
        )
        await self._write(response)


def _wrapped(resource):
    """A Resource from JSON; inside, what `packed` takes."""
    inner = resource.pop("resource", None)
    wrapped = json_format.ParseDict(resource, discovery_pb2.Resource())
    if inner is not None:
        wrapped.resource.CopyFrom(packed(inner))
    return wrapped
