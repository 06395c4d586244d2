//! The target of a connection.

use std::net::SocketAddr;
use std::sync::Arc;

use crate::config::{ClientTls, ConnectionSettings, Name};

/// The address and settings of one attempt to connect.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConnectTarget {
    /// The address.
    pub address: SocketAddr,
    /// The endpoint's host name; empty if it is not known.
    pub hostname: Name,
    /// How the connection is secured.
    pub security: Security,
    /// The protocol on the connection.
    pub protocol: WireProtocol,
    /// The cluster's settings.
    pub connection: Arc<ConnectionSettings>,
    /// The HTTP proxy that is asked for a connection to the address; `None`: the address is connected directly.
    // LB-79
    pub proxy: Option<SocketAddr>,
}

impl ConnectTarget {
    /// HTTP/2 in plaintext to this address, with default settings.
    pub fn new(address: SocketAddr) -> Self {
        Self {
            address,
            hostname: "".into(),
            security: Security::Plaintext,
            protocol: WireProtocol::Http2,
            connection: Arc::default(),
            proxy: None,
        }
    }
}

/// How a connection is secured. A part of a subchannel's identity: calls with different security never share a
/// connection.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Security {
    /// The connection is plaintext.
    #[default]
    Plaintext,
    /// The connection is secured by TLS. A connector that cannot do it has to fail.
    Tls(Arc<TlsTarget>),
}

impl Security {
    /// How connections to an endpoint with this hostname are secured.
    pub(crate) fn of(tls: Option<&Arc<ClientTls>>, hostname: &str) -> Self {
        let Some(settings) = tls else { return Self::Plaintext };
        let server_name = settings.sni.for_hostname(hostname).map(Name::from);
        Self::Tls(Arc::new(TlsTarget { settings: settings.clone(), server_name }))
    }
}

/// TLS to one endpoint.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct TlsTarget {
    /// What is shown and accepted.
    pub settings: Arc<ClientTls>,
    /// The endpoint's name for these settings, without a port; an IP address is not sent (RFC 6066 section 3).
    // TLS-22
    pub server_name: Option<Name>,
}

/// The protocol on a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum WireProtocol {
    /// HTTP/2 with prior knowledge.
    #[default]
    Http2,
}
