//! Addresses of endpoints.

use std::net::{IpAddr, SocketAddr};

use xds_proto::envoy::config::core::v3::address::Address as Kind;
use xds_proto::envoy::config::core::v3::socket_address::PortSpecifier;
use xds_proto::envoy::config::core::v3::{Address, SocketAddress};

use super::invalid::{Checked, Invalid, Within};

/// An IP address and a port (EDS-08).
pub(super) fn ip_and_port(address: Option<&Address>) -> Checked<SocketAddr> {
    let socket = socket_address(address)?;
    let ip: IpAddr = socket
        .address
        .parse()
        .map_err(|_| Invalid::at("address", format!("{:?} is not an IP address", socket.address)))
        .within("socket_address")?;
    Ok(SocketAddr::new(ip, port(socket).within("socket_address")?))
}

/// The socket address of an address that must be one.
pub(super) fn socket_address(address: Option<&Address>) -> Checked<&SocketAddress> {
    match address.map(|address| &address.address) {
        None => Err(Invalid::new("must be set")),
        Some(Some(Kind::SocketAddress(socket))) => Ok(socket),
        Some(_) => Err(Invalid::at("socket_address", "must be set: no other kind of address is supported")),
    }
}

/// A port in digits, never cut to 16 bits.
pub(super) fn port(socket: &SocketAddress) -> Checked<u16> {
    match socket.port_specifier {
        Some(PortSpecifier::PortValue(port)) => {
            port.try_into().map_err(|_| Invalid::at("port_value", format!("{port} is above 65535")))
        }
        _ => Err(Invalid::at("port_value", "must be set: named ports are not supported")),
    }
}
