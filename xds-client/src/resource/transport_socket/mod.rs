//! Transport sockets: how connections are secured.
//!
//! TLS contexts are validated (gRFC A29), so that a NACK names the field that is wrong. A transport socket that is not known
//! never becomes plaintext (SEC-14).

mod tls;
#[cfg(test)]
mod tls_tests;

use std::sync::Arc;

use mesh_core::config::{ClientTls, ServerTls};
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

/// How a cluster's endpoints are connected.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Upstream {
    /// How connections are secured; `None`: they are plaintext, explicitly or by default (CDS-15).
    pub(super) tls: Option<Arc<ClientTls>>,
    /// Connections go through the proxies of endpoints that have one.
    // CDS-20
    pub(super) through_proxies: bool,
}

/// How connections to endpoints are made.
pub(super) fn upstream(socket: Option<&TransportSocket>, context: &Decoding<'_>) -> Checked<Upstream> {
    let Some(socket) = socket else { return Ok(Upstream::default()) };
    let direct = |tls| Upstream { tls, through_proxies: false };
    let read = || {
        let extension = configuration(socket)?;
        match recognised(socket, &extension) {
            Some(SocketKind::RawBuffer) => plaintext(&extension).map(direct),
            Some(SocketKind::UpstreamTls) => upstream_tls(&extension, context).map(Some).map(direct),
            // A86: unless it is switched off, when the socket is unknown
            Some(SocketKind::Http11Proxy) if context.guards.http_connect => {
                let read = || http_11_proxy(&extension.message()?, context);
                let tls = read().within("typed_config")?;
                Ok(Upstream { tls, through_proxies: true })
            }
            _ => Err(unrecognised(socket, &extension)),
        }
    };
    read().within("transport_socket")
}

/// How connections from clients are secured; `None`: they are plaintext, explicitly or by default (LDS-20).
pub(super) fn downstream(
    socket: Option<&TransportSocket>,
    context: &Decoding<'_>,
) -> Checked<Option<Arc<ServerTls>>> {
    let Some(socket) = socket else { return Ok(None) };
    let read = || {
        let extension = configuration(socket)?;
        match recognised(socket, &extension) {
            Some(SocketKind::RawBuffer) => plaintext(&extension),
            Some(SocketKind::DownstreamTls) => {
                let read = || tls::downstream(&extension.message()?, context);
                read().within("typed_config").map(|tls| Some(Arc::new(tls)))
            }
            _ => Err(unrecognised(socket, &extension)),
        }
    };
    read().within("transport_socket")
}

fn plaintext<T>(extension: &Extension<'_>) -> Checked<Option<T>> {
    extension.well_formed::<RawBuffer>().within("typed_config").map(|()| None)
}

fn upstream_tls(extension: &Extension<'_>, context: &Decoding<'_>) -> Checked<Arc<ClientTls>> {
    let read = || tls::upstream(&extension.message()?, context);
    read().within("typed_config").map(Arc::new)
}

/// CDS-20: only around plaintext (the default) or TLS.
fn http_11_proxy(
    proxy: &Http11ProxyUpstreamTransport,
    context: &Decoding<'_>,
) -> Checked<Option<Arc<ClientTls>>> {
    let Some(socket) = &proxy.transport_socket else { return Ok(None) };
    let check = || {
        let extension = configuration(socket)?;
        match recognised(socket, &extension) {
            Some(SocketKind::UpstreamTls) => upstream_tls(&extension, context).map(Some),
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
