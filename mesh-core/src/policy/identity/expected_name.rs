//! The name that an endpoint's certificate must have if the sent server name is validated (gRFC A101).

use std::fmt;
use std::net::IpAddr;

use super::SubjectNames;
use super::san::dns_covers;

/// The server's name: a DNS name, which is sent, or an IP address, which is not (RFC 6066 section 3).
// N3
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum ExpectedName {
    /// In lower case, without a final dot.
    Dns(String),
    Address(IpAddr),
}

impl ExpectedName {
    /// Parses a host, without a port.
    pub(crate) fn parse(host: &str) -> Self {
        match host.parse::<IpAddr>() {
            Ok(address) => Self::Address(address),
            Err(_) => Self::Dns(host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase()),
        }
    }

    /// Whether the certificate is for this name. A URI that is equal to a sent name counts as well.
    // TLS-23
    pub(crate) fn is_in(&self, names: &SubjectNames) -> bool {
        match self {
            Self::Dns(host) => {
                names.dns.iter().any(|name| dns_covers(name, host))
                    || names.uris.iter().any(|uri| uri == host)
            }
            Self::Address(address) => names.addresses.contains(address),
        }
    }
}

impl fmt::Display for ExpectedName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dns(host) => f.write_str(host),
            Self::Address(address) => address.fmt(f),
        }
    }
}
