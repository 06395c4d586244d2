//! The connections that a filter chain takes.

use std::net::IpAddr;

use mesh_core::config::{ChainMatch, IpPrefix, SourceType, TransportProtocol};
use xds_proto::envoy::config::core::v3::CidrRange;
use xds_proto::envoy::config::listener::v3::FilterChainMatch;
use xds_proto::envoy::config::listener::v3::filter_chain_match::ConnectionSourceType;

use crate::resource::invalid::{Checked, Invalid, Within};

/// Reads a match; none at all takes every connection that no other chain takes.
pub(super) fn read(message: Option<&FilterChainMatch>) -> Checked<ChainMatch> {
    let mut read = ChainMatch::default();
    let Some(message) = message else { return Ok(read) };
    // LDS-19
    read.source_type = match ConnectionSourceType::try_from(message.source_type) {
        Ok(ConnectionSourceType::Any) => SourceType::Any,
        Ok(ConnectionSourceType::SameIpOrLoopback) => SourceType::SameIpOrLoopback,
        Ok(ConnectionSourceType::External) => SourceType::External,
        Err(_) => return Err(Invalid::at("source_type", format!("{} is not known", message.source_type))),
    };
    read.destination_port = message.destination_port.map(|port| port.value);
    read.transport_protocol = match message.transport_protocol.as_str() {
        "" => TransportProtocol::Any,
        "raw_buffer" => TransportProtocol::RawBuffer,
        "tls" => TransportProtocol::Tls,
        other => TransportProtocol::Other(other.to_owned()),
    };
    read.destinations = prefixes(&message.prefix_ranges, "prefix_ranges")?;
    read.sources = prefixes(&message.source_prefix_ranges, "source_prefix_ranges")?;
    read.source_ports.clone_from(&message.source_ports);
    read.server_names = message.server_names.iter().map(|name| name.to_ascii_lowercase()).collect();
    read.application_protocols.clone_from(&message.application_protocols);
    Ok(read)
}

fn prefixes(ranges: &[CidrRange], field: &str) -> Checked<Vec<IpPrefix>> {
    let read = |(index, range)| prefix(range).within_element(field, index);
    ranges.iter().enumerate().map(read).collect()
}

/// LDS-18: an absent length is 0, one that is too long is cut, host bits do not count.
fn prefix(range: &CidrRange) -> Checked<IpPrefix> {
    let address: IpAddr = range.address_prefix.parse().map_err(|_| {
        Invalid::at("address_prefix", format!("{:?} is not an IP address", range.address_prefix))
    })?;
    Ok(IpPrefix::new(address, range.prefix_len.map_or(0, |length| length.value)))
}
