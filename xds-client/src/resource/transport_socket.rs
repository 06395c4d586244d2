//! Transport sockets: what secures connections.

use envoy_types::pb::envoy::config::core::v3::TransportSocket;
use envoy_types::pb::envoy::config::core::v3::transport_socket::ConfigType;
use envoy_types::pb::envoy::extensions::transport_sockets::raw_buffer::v3::RawBuffer;

use super::extension::Extension;
use super::invalid::{Checked, Invalid, Within};

/// Which side of a connection a transport socket is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    /// A cluster's.
    Client,
    /// A filter chain's.
    Server,
}

/// Accepts plaintext, asked for or by default. Everything else is refused: never plaintext in place of TLS (SEC-14),
/// and nothing that is not known (LDS-20).
pub(super) fn plaintext(socket: Option<&TransportSocket>, side: Side) -> Checked<()> {
    let Some(socket) = socket else { return Ok(()) };
    let check = || {
        let Some(ConfigType::TypedConfig(any)) = &socket.config_type else {
            return Err(Invalid::at("typed_config", "must be set"));
        };
        let extension = Extension::of(any).within("typed_config")?;
        match (extension.type_name(), side) {
            (RAW_BUFFER, _) => extension.well_formed::<RawBuffer>().within("typed_config"),
            (UPSTREAM_TLS, Side::Client) => Err(Invalid::new("TLS to endpoints is not supported yet")),
            (DOWNSTREAM_TLS, Side::Server) => Err(Invalid::new("TLS from clients is not supported yet")),
            (other, _) => Err(Invalid::new(format!(
                "unrecognised transport socket {:?} of type {other:?}",
                socket.name
            ))),
        }
    };
    check().within("transport_socket")
}

const RAW_BUFFER: &str = "envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer";
const UPSTREAM_TLS: &str = "envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext";
const DOWNSTREAM_TLS: &str = "envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext";
