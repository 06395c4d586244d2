"""What the stock xDS client holds, from its own client status discovery service (CSDS)."""

import grpc_csds
from envoy.admin.v3 import config_dump_shared_pb2


def dump():
    """One entry per resource of every xDS client in this process."""
    response = grpc_csds.ClientStatusDiscoveryServiceServicer.FetchClientStatus(None, None)
    return [
        {
            "scope": config.client_scope,
            "node": config.node.id,
            "type": resource.type_url.rpartition(".")[2],
            "name": resource.name,
            "version": resource.version_info,
            "client_status": config_dump_shared_pb2.ClientResourceStatus.Name(resource.client_status),
            "error": resource.error_state.details,
        }
        for config in response.config
        for resource in config.generic_xds_configs
    ]
