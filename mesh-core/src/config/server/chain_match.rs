//! The connections that a filter chain takes, and whether two chains take the same.
//!
//! A chain's match is the Cartesian product of its lists. Two products share an element exactly when every pair of
//! lists does, so no product is expanded, and a small configuration cannot cost much.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

/// Which connections a chain takes: all, by default. Within a list one element is enough; an empty list is "not
/// specified", which is less specific than every element, a `/0` prefix included.
// SV-11
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ChainMatch {
    /// `Some`: it never matches, as in gRPC.
    // SV-12
    pub destination_port: Option<u32>,
    /// The local address.
    pub destinations: Vec<IpPrefix>,
    /// Not empty: it never matches, as in gRPC. In lower case.
    // SV-12
    pub server_names: Vec<String>,
    /// Whether the client speaks TLS.
    pub transport_protocol: TransportProtocol,
    /// Not empty: it never matches, as in gRPC.
    // SV-12
    pub application_protocols: Vec<String>,
    /// Whether the client is on the same machine.
    pub source_type: SourceType,
    /// The client's address.
    pub sources: Vec<IpPrefix>,
    /// The client's port.
    pub source_ports: Vec<u32>,
}

impl ChainMatch {
    /// Whether there is a connection that it takes.
    // SV-12
    pub fn can_match(&self) -> bool {
        self.destination_port.is_none()
            && self.server_names.is_empty()
            && self.application_protocols.is_empty()
            && !matches!(self.transport_protocol, TransportProtocol::Other(_))
    }

    /// Whether the expansions of both have an element in common.
    // LDS-17
    pub fn overlaps(&self, other: &Self) -> bool {
        self.destination_port == other.destination_port
            && self.transport_protocol == other.transport_protocol
            && self.source_type == other.source_type
            && share(&self.destinations, &other.destinations)
            && share(&self.sources, &other.sources)
            && share(&self.source_ports, &other.source_ports)
            && share(&self.server_names, &other.server_names)
            && share(&self.application_protocols, &other.application_protocols)
    }
}

/// Whether two lists share an element; an empty list has the one element "not specified".
fn share<T: Ord>(left: &[T], right: &[T]) -> bool {
    if left.is_empty() || right.is_empty() {
        return left.is_empty() && right.is_empty();
    }
    let mut known: Vec<&T> = left.iter().collect();
    known.sort_unstable();
    right.iter().any(|value| known.binary_search(&value).is_ok())
}

/// Whether the client speaks TLS, as far as a chain cares.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum TransportProtocol {
    /// It does not matter.
    #[default]
    Any,
    /// `raw_buffer`: more specific than [`Any`](Self::Any). Where no chain asks for [`Tls`](Self::Tls) the first bytes are
    /// not looked at, and every client counts as this, as in gRPC.
    // SV-14
    RawBuffer,
    /// `tls`: the client's first bytes are those of a TLS handshake. A chain of this kind makes the server look at the first
    /// bytes of every connection, which gRPC does not do.
    Tls,
    /// It never matches.
    // SV-12
    Other(String),
}

/// Where the client is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum SourceType {
    /// Anywhere.
    #[default]
    Any,
    /// On the same machine: its address is the connection's local one, or a loopback address.
    // SV-15
    SameIpOrLoopback,
    /// On another machine.
    External,
}

/// A range of IP addresses. IPv4 and IPv6 never mix; a range of IPv4 addresses in IPv6 form is one of IPv4.
// LDS-18
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IpPrefix {
    /// Without host bits.
    address: IpAddr,
    length: u8,
}

impl IpPrefix {
    /// The addresses that share the first `length` bits of `address`; a length beyond the address's is cut.
    pub fn new(address: IpAddr, length: u32) -> Self {
        match address {
            IpAddr::V4(v4) => {
                let length = length.min(32);
                let mask = u32::MAX.checked_shl(32 - length).unwrap_or(0);
                Self { address: (u32::from(v4) & mask).to_be_bytes().into(), length: length as u8 }
            }
            IpAddr::V6(v6) => {
                let length = length.min(128);
                if let (Some(v4), Some(length)) = (v6.to_ipv4_mapped(), length.checked_sub(MAPPED)) {
                    return Self::new(v4.into(), length);
                }
                let mask = u128::MAX.checked_shl(128 - length).unwrap_or(0);
                Self { address: Ipv6Addr::from(u128::from(v6) & mask).into(), length: length as u8 }
            }
        }
    }

    /// How many bits its addresses share.
    pub fn length(self) -> u8 {
        self.length
    }

    /// Whether it has this address; one of IPv4 in IPv6 form counts as IPv4.
    // SV-16
    pub fn contains(self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        address.is_ipv4() == self.address.is_ipv4() && Self::new(address, self.length.into()) == self
    }
}

impl fmt::Display for IpPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.length)
    }
}

/// The length of the prefix under which IPv6 has the IPv4 addresses.
const MAPPED: u32 = 96;
