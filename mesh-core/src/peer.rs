//! What a server knows of a connection and of the client at its other end.

use std::net::SocketAddr;
use std::sync::Arc;

use crate::config::Name;

/// What a server knows of a connection: its addresses, and how the client has proved who it is.
///
/// The server makes one per connection; filters read it through [`FilterCall::peer`](crate::filter::FilterCall::peer), and a
/// handler finds it as an `Arc<Peer>` in the extensions of its request.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Peer {
    /// The client's address. An IPv4 address in its IPv6 form is an IPv4 address here.
    pub remote: SocketAddr,
    /// The address at which the server took the connection, in the same form.
    pub local: SocketAddr,
    /// What the TLS handshake has shown; `None` on a plaintext connection.
    pub tls: Option<TlsPeer>,
}

impl Peer {
    /// The peer of a plaintext connection.
    pub fn new(remote: SocketAddr, local: SocketAddr) -> Self {
        Self { remote: canonical(remote), local: canonical(local), tls: None }
    }

    /// The peer of a TLS connection.
    #[must_use]
    pub fn with_tls(mut self, tls: TlsPeer) -> Self {
        self.tls = Some(tls);
        self
    }

    /// Whether the connection is encrypted.
    pub fn is_tls(&self) -> bool {
        self.tls.is_some()
    }

    /// The client's identity; `None` without TLS, and for a client that has shown no certificate.
    pub fn identity(&self) -> Option<&PeerIdentity> {
        self.tls.as_ref()?.identity.as_deref()
    }
}

/// What the TLS handshake has shown of a client.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TlsPeer {
    /// The server name that the client has asked for (SNI).
    pub server_name: Option<Name>,
    /// What the client's verified certificate says; `None`: the client has shown none.
    pub identity: Option<Arc<PeerIdentity>>,
}

impl TlsPeer {
    /// A client without a certificate that has asked for no server name.
    pub fn new() -> Self {
        Self::default()
    }

    /// The client has asked for this server name.
    #[must_use]
    pub fn with_server_name(mut self, name: impl Into<Name>) -> Self {
        self.server_name = Some(name.into());
        self
    }

    /// The client has this identity.
    #[must_use]
    pub fn with_identity(mut self, identity: impl Into<Arc<PeerIdentity>>) -> Self {
        self.identity = Some(identity.into());
        self
    }
}

/// The names in a client's certificate. The certificate has been verified: its chain ends at a root that the server trusts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PeerIdentity {
    /// Subject alternative names that are URIs, in the certificate's order and as the certificate has them.
    pub uri_sans: Vec<String>,
    /// Subject alternative names that are DNS names, in the certificate's order.
    pub dns_sans: Vec<String>,
    /// The subject in the form of RFC 2253; empty: the certificate has none.
    pub subject: String,
    /// The SPIFFE id, with its scheme and trust domain in lower case; `None`: the certificate has no valid one, or several
    /// URIs.
    pub spiffe_id: Option<Name>,
}

impl PeerIdentity {
    /// A certificate without any name.
    pub fn new() -> Self {
        Self::default()
    }

    /// With one more URI.
    #[must_use]
    pub fn with_uri_san(mut self, uri: impl Into<String>) -> Self {
        self.uri_sans.push(uri.into());
        self
    }

    /// With one more DNS name.
    #[must_use]
    pub fn with_dns_san(mut self, name: impl Into<String>) -> Self {
        self.dns_sans.push(name.into());
        self
    }

    /// With this subject.
    #[must_use]
    pub fn with_subject(mut self, subject: impl Into<String>) -> Self {
        self.subject = subject.into();
        self
    }

    /// With this SPIFFE id.
    #[must_use]
    pub fn with_spiffe_id(mut self, id: impl Into<Name>) -> Self {
        self.spiffe_id = Some(id.into());
        self
    }

    /// The names that the rule `authenticated` compares.
    // HF-22: only the first kind that the certificate has counts
    pub fn principals(&self) -> &[String] {
        match (&*self.uri_sans, &*self.dns_sans) {
            ([], []) => std::slice::from_ref(&self.subject),
            ([], names) => names,
            (uris, _) => uris,
        }
    }
}

/// An IPv4 client of an IPv6 socket is an IPv4 client to every rule.
fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mapped_addresses_become_ipv4() {
        let peer =
            Peer::new("[::ffff:10.0.0.1]:4711".parse().unwrap(), "[::ffff:10.0.0.2]:80".parse().unwrap());
        assert_eq!(peer.remote, "10.0.0.1:4711".parse().unwrap());
        assert_eq!(peer.local, "10.0.0.2:80".parse().unwrap());
        assert!(!peer.is_tls());
        let peer = Peer::new("[::1]:4711".parse().unwrap(), "[fe80::1%3]:80".parse().unwrap());
        assert_eq!(peer.remote, "[::1]:4711".parse().unwrap());
    }

    #[test]
    fn first_kind_of_name_counts_alone() {
        let subject = PeerIdentity::new().with_subject("CN=a");
        assert_eq!(subject.principals(), ["CN=a"]);
        let dns = subject.with_dns_san("a.example").with_dns_san("b.example");
        assert_eq!(dns.principals(), ["a.example", "b.example"]);
        assert_eq!(dns.with_uri_san("spiffe://td/a").principals(), ["spiffe://td/a"]);
        assert_eq!(PeerIdentity::new().principals(), [""]);
    }
}
