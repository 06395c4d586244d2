//! Where a connection goes, and how.

use std::net::SocketAddr;

use crate::config::Name;

/// Where a connection goes, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConnectTarget {
    /// The address.
    pub address: SocketAddr,
    /// The endpoint's host name; empty if it is not known.
    pub hostname: Name,
    /// How the connection is secured.
    pub security: Security,
}

impl ConnectTarget {
    /// Plaintext to this address, with every setting at its default.
    pub fn new(address: SocketAddr) -> Self {
        Self { address, hostname: "".into(), security: Security::Plaintext }
    }
}

/// How a connection is secured. Part of what identifies a subchannel: calls of one identity never travel on another's
/// connection.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Security {
    /// Not at all.
    #[default]
    Plaintext,
}
