//! CSDS over encoded messages: the service that answers with them needs no protobuf types.

use bytes::Bytes;
use prost::Message;
use xds_proto::envoy::service::status::v3::{ClientStatusRequest, ClientStatusResponse};

use super::client_config::client_config;
use super::clock::Clock;
use crate::client::XdsClient;

/// Answers an encoded `envoy.service.status.v3.ClientStatusRequest` with an encoded `ClientStatusResponse`, which has one
/// `ClientConfig` for each of the clients, in their order. For both methods of CSDS: a stream has one answer to each
/// request.
///
/// Takes time linear in the number and size of the watched resources. `exclude_resource_contents` leaves the
/// resources themselves out.
///
/// # Errors
/// [`Refused`]
// TR-61
pub fn answer(clients: &[XdsClient], request: &[u8]) -> Result<Bytes, Refused> {
    let request = ClientStatusRequest::decode(request)
        .map_err(|error| Refused::Malformed { reason: error.to_string() })?;
    // TR-60
    if !request.node_matchers.is_empty() {
        return Err(Refused::NodeMatchers);
    }
    let clock = Clock::now();
    let config = clients.iter().map(|client| {
        let mut config = client_config(&client.status(), &client.bootstrap().stated_node(), clock);
        if request.exclude_resource_contents {
            config.generic_xds_configs.iter_mut().for_each(|resource| resource.xds_config = None);
        }
        config
    });
    Ok(ClientStatusResponse { config: config.collect() }.encode_to_vec().into())
}

/// Why a request has no answer.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refused {
    /// It selects nodes by matchers. The service answers INVALID_ARGUMENT.
    #[error("node_matchers: not supported, a client knows only itself; leave them out")]
    NodeMatchers,
    /// It is not a `ClientStatusRequest`. The service answers INTERNAL, as for any message that cannot be decoded.
    #[error("the request is not an envoy.service.status.v3.ClientStatusRequest: {reason}")]
    Malformed {
        /// The decoder's error.
        reason: String,
    },
}

mesh_core::debug_with_causes!(Refused);
