//! Which filter chain of a listener takes a connection (gRFC A36, Envoy's `FilterChainMatch`).
//!
//! The match is decided step by step: each step keeps the chains that match most specifically. A step that no chain
//! passes does not bring back what an earlier one has dropped.
// SV-11

#[cfg(test)]
mod tests;

use std::net::{IpAddr, SocketAddr};

use crate::config::{ChainMatch, IpPrefix, SourceType, TransportProtocol};

/// A connection as far as filter chains look at it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ConnectionFacts {
    /// The connection's local address; `None`: the server is bound to one address, and destinations do not matter.
    // SV-13
    pub(crate) destination: Option<IpAddr>,
    /// The local address, for the source type.
    pub(crate) local: IpAddr,
    /// The client.
    pub(crate) source: SocketAddr,
    /// The client's first bytes; `None`: they have not been looked at.
    pub(crate) first_bytes: Option<Spoken>,
}

/// What a client's first bytes are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Spoken {
    Tls,
    Plaintext,
}

/// The position of the chain that takes the connection; `None`: the default chain, if there is one (SV-17).
pub(crate) fn select<'a>(
    chains: impl IntoIterator<Item = &'a ChainMatch>,
    connection: &ConnectionFacts,
) -> Option<usize> {
    // SV-12
    let mut left: Vec<_> = chains.into_iter().enumerate().filter(|(_, chain)| chain.can_match()).collect();
    let steps: [fn(&ChainMatch, &ConnectionFacts) -> Option<u8>; 5] =
        [destination, transport_protocol, source_type, source, source_port];
    for step in steps {
        let best = left.iter().filter_map(|(_, chain)| step(chain, connection)).max()?;
        left.retain(|(_, chain)| step(chain, connection) == Some(best));
    }
    left.first().map(|(position, _)| *position)
}

/// Each step: `None`, the chain does not match; else how specific it is, where 0 is "not specified".
fn destination(chain: &ChainMatch, connection: &ConnectionFacts) -> Option<u8> {
    connection.destination.map_or(Some(0), |address| longest(&chain.destinations, address))
}

// SV-14
fn transport_protocol(chain: &ChainMatch, connection: &ConnectionFacts) -> Option<u8> {
    match (&chain.transport_protocol, connection.first_bytes) {
        (TransportProtocol::Any, _) => Some(0),
        (TransportProtocol::RawBuffer, None | Some(Spoken::Plaintext))
        | (TransportProtocol::Tls, Some(Spoken::Tls)) => Some(1),
        _ => None,
    }
}

// SV-15
fn source_type(chain: &ChainMatch, connection: &ConnectionFacts) -> Option<u8> {
    let source = connection.source.ip().to_canonical();
    let is_same = source.is_loopback() || source == connection.local.to_canonical();
    match (chain.source_type, is_same) {
        (SourceType::Any, _) => Some(0),
        (SourceType::SameIpOrLoopback, true) | (SourceType::External, false) => Some(1),
        _ => None,
    }
}

// SV-16
fn source(chain: &ChainMatch, connection: &ConnectionFacts) -> Option<u8> {
    longest(&chain.sources, connection.source.ip())
}

// SV-16
fn source_port(chain: &ChainMatch, connection: &ConnectionFacts) -> Option<u8> {
    match &*chain.source_ports {
        [] => Some(0),
        ports => ports.contains(&connection.source.port().into()).then_some(1),
    }
}

/// One more than the length of the longest prefix with this address, so that `/0` is more specific than none.
fn longest(prefixes: &[IpPrefix], address: IpAddr) -> Option<u8> {
    if prefixes.is_empty() {
        return Some(0);
    }
    let lengths = prefixes.iter().filter(|prefix| prefix.contains(address)).map(|prefix| prefix.length());
    lengths.max().map(|length| length + 1)
}
