//! Transport sockets: how connections are secured.
//!
//! TLS contexts are validated (gRFC A29), so that a NACK names the field that is wrong, and then refused as a whole:
//! TLS on connections to endpoints and from clients is not supported yet, and never becomes plaintext (SEC-14).

mod tls;
#[cfg(test)]
mod tls_tests;

use xds_proto::envoy::config::core::v3::TransportSocket;
use xds_proto::envoy::config::core::v3::transport_socket::ConfigType;
use xds_proto::envoy::extensions::transport_sockets::http_11_proxy::v3::Http11ProxyUpstreamTransport;
use xds_proto::envoy::extensions::transport_sockets::raw_buffer::v3::RawBuffer;

use super::Decoding;
use super::extension::Extension;
use super::invalid::{Checked, Invalid, Within};

/// Which side of a connection a transport socket is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    /// Of a cluster.
    Client,
    /// Of a filter chain.
    Server,
}

/// A known kind of transport socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SocketKind {
    RawBuffer,
    UpstreamTls,
    DownstreamTls,
    Http11Proxy,
}

/// The kinds with their types and names.
const KINDS: [(SocketKind, &str, &str); 4] = [
    (
        SocketKind::RawBuffer,
        "envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer",
        "envoy.transport_sockets.raw_buffer",
    ),
    (SocketKind::UpstreamTls, "envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext", TLS),
    (SocketKind::DownstreamTls, "envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext", TLS),
    (
        SocketKind::Http11Proxy,
        "envoy.extensions.transport_sockets.http_11_proxy.v3.Http11ProxyUpstreamTransport",
        "envoy.transport_sockets.http_11_proxy",
    ),
];

const TLS: &str = "envoy.transport_sockets.tls";

/// Accepts only plaintext, explicit or by default (LDS-20, CDS-15).
pub(super) fn plaintext(socket: Option<&TransportSocket>, side: Side, context: &Decoding<'_>) -> Checked<()> {
    socket.map_or(Ok(()), |socket| check(socket, side, context)).within("transport_socket")
}

fn check(socket: &TransportSocket, side: Side, context: &Decoding<'_>) -> Checked<()> {
    let extension = configuration(socket)?;
    let kind = recognised(socket, &extension);
    match (kind, side) {
        (Some(SocketKind::RawBuffer), _) => extension.well_formed::<RawBuffer>().within("typed_config"),
        (Some(SocketKind::UpstreamTls), Side::Client) => upstream_tls(&extension, context),
        (Some(SocketKind::DownstreamTls), Side::Server) => {
            let read = || tls::downstream(&extension.message()?, context);
            read().within("typed_config")?;
            Err(Invalid::new("TLS from clients is not supported yet"))
        }
        (Some(SocketKind::Http11Proxy), Side::Client) => {
            let read = || http_11_proxy(&extension.message()?, context);
            read().within("typed_config")?;
            Err(Invalid::new("HTTP CONNECT proxies are not supported yet"))
        }
        _ => Err(unrecognised(socket, &extension)),
    }
}

fn upstream_tls(extension: &Extension<'_>, context: &Decoding<'_>) -> Checked<()> {
    let read = || tls::upstream(&extension.message()?, context);
    read().within("typed_config")?;
    Err(Invalid::new("TLS to endpoints is not supported yet"))
}

/// CDS-20: only around plaintext (the default) or TLS.
fn http_11_proxy(proxy: &Http11ProxyUpstreamTransport, context: &Decoding<'_>) -> Checked<()> {
    let Some(socket) = &proxy.transport_socket else { return Ok(()) };
    let check = || {
        let extension = configuration(socket)?;
        match recognised(socket, &extension) {
            Some(SocketKind::UpstreamTls) => upstream_tls(&extension, context),
            _ => Err(unrecognised(socket, &extension)),
        }
    };
    check().within("transport_socket")
}

fn configuration(socket: &TransportSocket) -> Checked<Extension<'_>> {
    match &socket.config_type {
        Some(ConfigType::TypedConfig(any)) => Extension::of(any).within("typed_config"),
        None => Err(Invalid::at("typed_config", "must be set")),
    }
}

/// Both the type and the name must be known (TLS-03).
fn recognised(socket: &TransportSocket, extension: &Extension<'_>) -> Option<SocketKind> {
    let known = |(kind, type_name, name): (SocketKind, &str, &str)| {
        (type_name == extension.type_name() && name == socket.name).then_some(kind)
    };
    KINDS.into_iter().find_map(known)
}

fn unrecognised(socket: &TransportSocket, extension: &Extension<'_>) -> Invalid {
    let (name, type_name) = (&socket.name, extension.type_name());
    Invalid::new(format!("unrecognised transport socket {name:?} of type {type_name:?}"))
}
