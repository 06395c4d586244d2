//! The target of a connection.

use std::net::SocketAddr;
use std::sync::Arc;

use crate::config::{ConnectionSettings, Name};

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
}

/// The protocol on a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum WireProtocol {
    /// HTTP/2 with prior knowledge.
    #[default]
    Http2,
}
