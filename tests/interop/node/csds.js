'use strict';

// What the stock xDS client holds, from its own client status discovery service (CSDS).

const grpc = require('@grpc/grpc-js');

/** One entry per resource of every xDS client in this process. */
function dump() {
  let found = [];
  // The package gives its service to servers only; this one keeps what it is given, and asks.
  grpc.addAdminServicesToServer({
    addService(_definition, handlers) {
      handlers.FetchClientStatus?.({ request: { node_matchers: [] } }, (error, response) => {
        if (error) {
          throw new Error(error.details);
        }
        found = response.config.flatMap((config) => config.generic_xds_configs.map(entry));
      });
    },
  });
  return found;
}

function entry(resource) {
  return {
    type: resource.type_url.split('/').at(-1),
    name: resource.name,
    version: resource.version_info ?? '',
    client_status: resource.client_status,
    error: resource.error_state?.details ?? '',
  };
}

module.exports = { dump };
