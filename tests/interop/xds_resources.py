"""What an xDS server has to give: resources by type and name, written as JSON."""

import base64

from google.protobuf import any_pb2, json_format

# Imported for their descriptors: JSON names them in "@type".
from envoy.config.cluster.v3 import cluster_pb2
from envoy.config.endpoint.v3 import endpoint_pb2
from envoy.config.listener.v3 import listener_pb2
from envoy.config.route.v3 import route_pb2
from envoy.extensions.filters.http.router.v3 import router_pb2  # noqa: F401
from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2  # noqa: F401
from envoy.service.discovery.v3 import discovery_pb2  # noqa: F401

_MESSAGES = {
    "lds": listener_pb2.Listener,
    "rds": route_pb2.RouteConfiguration,
    "cds": cluster_pb2.Cluster,
    "eds": endpoint_pb2.ClusterLoadAssignment,
}
_URLS = {short: f"type.googleapis.com/{message.DESCRIPTOR.full_name}" for short, message in _MESSAGES.items()}
_SHORT = {url: short for short, url in _URLS.items()}

# A response of these types says everything there is: what is missing in it does not exist.
FULL_STATE = {"lds", "cds"}


def type_url(short):
    return _URLS.get(short, short)


def short_name(url):
    return _SHORT.get(url, url)


def packed(resource):
    """An Any from JSON with "@type", or, for what JSON cannot say, from {"type_url": .., "value": base64}."""
    if "type_url" in resource:
        return any_pb2.Any(type_url=type_url(resource["type_url"]), value=base64.b64decode(resource["value"]))
    return json_format.ParseDict(resource, any_pb2.Any())


def _name(short, value):
    message = _MESSAGES[short]()
    value.Unpack(message)
    return message.cluster_name if short == "eds" else message.name


class Resources:
    """Every resource with its version."""

    def __init__(self):
        self._resources = {short: {} for short in _MESSAGES}
        self._versions = {short: "0" for short in _MESSAGES}
        self._changes = 0

    def set(self, resources, version=None):
        """Adds or replaces; gives the changed names by type."""
        self._changes += 1
        version = version or str(self._changes)
        changed = {}
        for value in map(packed, resources):
            short = short_name(value.type_url)
            name = _name(short, value)
            self._resources[short][name] = (value, version)
            self._versions[short] = version
            changed.setdefault(short, set()).add(name)
        return changed

    def remove(self, short, names):
        self._changes += 1
        self._versions[short] = str(self._changes)
        for name in names:
            del self._resources[short][name]
        return {short: set(names)}

    def version(self, short):
        """Of the whole type."""
        return self._versions[short]

    def of(self, short, names):
        """Those of the names that exist: name, resource and version."""
        known = self._resources.get(short, {})
        return [(name, *known[name]) for name in sorted(names) if name in known]
