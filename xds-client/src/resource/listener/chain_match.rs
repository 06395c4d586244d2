//! The connections that a filter chain takes, and whether two chains would take the same.
//!
//! A chain's match is the Cartesian product of its lists. Two products share an element exactly when every pair of
//! lists does, so no product is expanded, and a small resource cannot cost much.

use std::collections::BTreeSet;
use std::net::IpAddr;

use xds_proto::envoy::config::core::v3::CidrRange;
use xds_proto::envoy::config::listener::v3::FilterChainMatch;
use xds_proto::envoy::config::listener::v3::filter_chain_match::ConnectionSourceType;

use crate::resource::invalid::{Checked, Invalid, Within};

/// A normalised match. In each list `None` stands for "not specified", which differs from a `/0` prefix (LDS-18).
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ChainMatch<'a> {
    destination_port: Option<u32>,
    transport_protocol: &'a str,
    source_type: i32,
    destinations: Criteria<Prefix>,
    sources: Criteria<Prefix>,
    source_ports: Criteria<u32>,
    server_names: Criteria<String>,
    application_protocols: Criteria<&'a str>,
}

/// The alternatives of one list.
type Criteria<T> = BTreeSet<Option<T>>;

/// An address without its host bits, and a length.
type Prefix = (IpAddr, u8);

impl<'a> ChainMatch<'a> {
    /// Normalises a match; none at all takes every connection that no other chain takes.
    pub(super) fn read(chain: Option<&'a FilterChainMatch>) -> Checked<Self> {
        static ANY: FilterChainMatch = FilterChainMatch {
            destination_port: None,
            prefix_ranges: Vec::new(),
            address_suffix: String::new(),
            suffix_len: None,
            direct_source_prefix_ranges: Vec::new(),
            source_type: 0,
            source_prefix_ranges: Vec::new(),
            source_ports: Vec::new(),
            server_names: Vec::new(),
            transport_protocol: String::new(),
            application_protocols: Vec::new(),
        };
        let chain = chain.unwrap_or(&ANY);
        // LDS-19
        if ConnectionSourceType::try_from(chain.source_type).is_err() {
            return Err(Invalid::at("source_type", format!("{} is not known", chain.source_type)));
        }
        Ok(Self {
            destination_port: chain.destination_port.map(|port| port.value),
            transport_protocol: &chain.transport_protocol,
            source_type: chain.source_type,
            destinations: prefixes(&chain.prefix_ranges, "prefix_ranges")?,
            sources: prefixes(&chain.source_prefix_ranges, "source_prefix_ranges")?,
            source_ports: criteria(chain.source_ports.iter().copied()),
            server_names: criteria(chain.server_names.iter().map(|name| name.to_ascii_lowercase())),
            application_protocols: criteria(chain.application_protocols.iter().map(String::as_str)),
        })
    }

    /// Whether the expansions of both have an element in common (LDS-17).
    pub(super) fn overlaps(&self, other: &Self) -> bool {
        self.destination_port == other.destination_port
            && self.transport_protocol == other.transport_protocol
            && self.source_type == other.source_type
            && !self.destinations.is_disjoint(&other.destinations)
            && !self.sources.is_disjoint(&other.sources)
            && !self.source_ports.is_disjoint(&other.source_ports)
            && !self.server_names.is_disjoint(&other.server_names)
            && !self.application_protocols.is_disjoint(&other.application_protocols)
    }
}

fn criteria<T: Ord>(values: impl Iterator<Item = T>) -> Criteria<T> {
    let mut set: Criteria<T> = values.map(Some).collect();
    if set.is_empty() {
        set.insert(None);
    }
    set
}

fn prefixes(ranges: &[CidrRange], field: &str) -> Checked<Criteria<Prefix>> {
    let read = |(index, range)| prefix(range).within_element(field, index);
    let prefixes: Vec<_> = ranges.iter().enumerate().map(read).collect::<Checked<_>>()?;
    Ok(criteria(prefixes.into_iter()))
}

/// LDS-18: an absent length is 0, one that is too long is cut, host bits do not count.
fn prefix(range: &CidrRange) -> Checked<Prefix> {
    let address: IpAddr = range.address_prefix.parse().map_err(|_| {
        Invalid::at("address_prefix", format!("{:?} is not an IP address", range.address_prefix))
    })?;
    let length = range.prefix_len.map_or(0, |length| length.value);
    Ok(match address {
        IpAddr::V4(v4) => {
            let length = length.min(32);
            let mask = u32::MAX.checked_shl(32 - length).unwrap_or(0);
            (IpAddr::from((u32::from(v4) & mask).to_be_bytes()), length as u8)
        }
        IpAddr::V6(v6) => {
            let length = length.min(128);
            let mask = u128::MAX.checked_shl(128 - length).unwrap_or(0);
            (IpAddr::from((u128::from(v6) & mask).to_be_bytes()), length as u8)
        }
    })
}
