//! How connections are secured by TLS (gRFC A29, A82, A101).

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use crate::certificate::CertificateSource;
use crate::policy::matcher::StringMatcher;

use super::Name;

/// TLS on connections to a cluster's endpoints.
///
/// An endpoint whose certificate is refused is unavailable, and so is every endpoint while a certificate provider has no
/// material: a connection never becomes plaintext.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClientTls {
    /// The certificate that the client shows if an endpoint asks for one; `None`: none.
    pub identity: Option<CertificateSource>,
    /// Which certificates of endpoints are accepted.
    pub validation: PeerValidation,
    /// The server name that the client sends.
    pub sni: Sni,
    /// The versions of the protocol.
    pub versions: TlsVersions,
}

impl ClientTls {
    /// Without a certificate of the client's own and without a server name.
    pub fn new(validation: PeerValidation) -> Self {
        Self { identity: None, validation, sni: Sni::default(), versions: TlsVersions::default() }
    }

    /// With this certificate of the client's own.
    #[must_use]
    pub fn with_identity(self, identity: CertificateSource) -> Self {
        Self { identity: Some(identity), ..self }
    }

    /// With this server name.
    #[must_use]
    pub fn with_sni(self, sni: Sni) -> Self {
        Self { sni, ..self }
    }

    /// With these versions.
    #[must_use]
    pub fn with_versions(self, versions: TlsVersions) -> Self {
        Self { versions, ..self }
    }
}

impl Hash for ClientTls {
    /// By what is cheap to hash; different matchers may have equal hashes.
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.identity.hash(state);
        self.validation.roots.hash(state);
        self.sni.hash(state);
        self.versions.hash(state);
    }
}

/// The server name that a client sends (SNI) and may check.
// TLS-22, TLS-23
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub struct Sni {
    /// Send the endpoint's hostname if it has one.
    pub from_hostname: bool,
    /// Send this name if the endpoint's hostname is not sent; `None` or empty: send none.
    pub name: Option<Name>,
    /// The sent name must be in the endpoint's certificate, and [`PeerValidation::names`] are not looked at. Without a sent name
    /// they are.
    pub is_validated: bool,
}

impl Sni {
    /// Send this name; the endpoint's certificate must be for it.
    pub fn validated(name: impl Into<Name>) -> Self {
        Self { from_hostname: false, name: Some(name.into()), is_validated: true }
    }

    /// The name for an endpoint with this hostname, which may have a port; `None`: send none.
    pub(crate) fn for_hostname<'a>(&'a self, hostname: &'a str) -> Option<&'a str> {
        let hostname = if self.from_hostname { without_port(hostname) } else { "" };
        let name = if hostname.is_empty() { self.name.as_deref().unwrap_or("") } else { hostname };
        Some(name).filter(|name| !name.is_empty())
    }
}

fn without_port(hostname: &str) -> &str {
    match hostname.rsplit_once(':') {
        // An IPv6 address with its port, in brackets, or without both.
        Some((host, port)) if port.bytes().all(|digit| digit.is_ascii_digit()) => {
            match host.strip_prefix('[') {
                Some(rest) => rest.strip_suffix(']').unwrap_or(hostname),
                None if host.contains(':') => hostname,
                None => host,
            }
        }
        _ => hostname.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(hostname),
    }
}

/// TLS on connections from clients.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServerTls {
    /// The certificate that the server shows.
    pub identity: CertificateSource,
    /// Whether clients have to show a certificate.
    pub clients: ClientCertificates,
    /// The versions of the protocol.
    pub versions: TlsVersions,
}

impl ServerTls {
    /// A server with this certificate.
    pub fn new(identity: CertificateSource, clients: ClientCertificates) -> Self {
        Self { identity, clients, versions: TlsVersions::default() }
    }

    /// With these versions.
    #[must_use]
    pub fn with_versions(self, versions: TlsVersions) -> Self {
        Self { versions, ..self }
    }
}

/// Whether clients have to show a certificate.
// TLS-14
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ClientCertificates {
    /// They are not asked for one.
    NotRequested,
    /// They are asked for one, and those that show none are accepted; those that show an invalid one are refused.
    Optional(PeerValidation),
    /// They have to show a valid one.
    Required(PeerValidation),
}

impl ClientCertificates {
    /// How certificates of clients are checked; `None`: they are not asked for.
    pub fn validation(&self) -> Option<&PeerValidation> {
        match self {
            Self::NotRequested => None,
            Self::Optional(validation) | Self::Required(validation) => Some(validation),
        }
    }
}

/// Which certificates of peers are accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PeerValidation {
    /// The roots at which the peer's chain must end.
    pub roots: RootSource,
    /// One of these must match one of the certificate's subject alternative names: DNS names, URIs, IP addresses, e-mail
    /// addresses. Empty: any certificate of the roots is accepted.
    // TLS-15
    pub names: Arc<[StringMatcher]>,
}

impl PeerValidation {
    /// Any certificate of these roots.
    pub fn new(roots: RootSource) -> Self {
        Self { roots, names: Arc::default() }
    }

    /// Only certificates with a name that one of these matches.
    #[must_use]
    pub fn with_names(self, names: impl Into<Arc<[StringMatcher]>>) -> Self {
        Self { names: names.into(), ..self }
    }
}

/// Where roots come from.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RootSource {
    /// The operating system's roots.
    // TLS-07
    System,
    /// A certificate provider's roots.
    Provider(CertificateSource),
}

/// Versions of TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum TlsVersions {
    /// 1.3, and 1.2 with peers that have nothing newer.
    #[default]
    Tls12AndLater,
    /// 1.3 only.
    Tls13,
    /// 1.2 only.
    Tls12,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostname_goes_before_the_name_and_loses_its_port() {
        let sni = |from_hostname, name: Option<&str>| Sni {
            from_hostname,
            name: name.map(Into::into),
            is_validated: false,
        };
        let rows = [
            (sni(true, Some("b.example")), "a.example", Some("a.example")),
            (sni(true, Some("b.example")), "a.example:443", Some("a.example")),
            (sni(true, Some("b.example")), "", Some("b.example")),
            (sni(false, Some("b.example")), "a.example", Some("b.example")),
            (sni(true, Some("")), "", None),
            (sni(true, None), "[::1]:443", Some("::1")),
            (sni(true, None), "::1", Some("::1")),
            (sni(true, None), "[::1]", Some("::1")),
            (sni(false, None), "a.example", None),
        ];
        for (sni, hostname, name) in rows {
            assert_eq!(sni.for_hostname(hostname), name, "{sni:?} {hostname}");
        }
    }
}
