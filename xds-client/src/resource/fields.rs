//! Fields that many messages have: durations, sources, fractions and addresses.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use mesh_core::policy::matcher::Fraction;
use xds_proto::envoy::config::core::v3::address::Address as Kind;
use xds_proto::envoy::config::core::v3::config_source::ConfigSourceSpecifier;
use xds_proto::envoy::config::core::v3::socket_address::PortSpecifier;
use xds_proto::envoy::config::core::v3::{Address, ConfigSource, SocketAddress};
use xds_proto::envoy::r#type::v3::FractionalPercent;
use xds_proto::envoy::r#type::v3::fractional_percent::DenominatorType;
use xds_proto::google::protobuf::Duration as ProtoDuration;

use super::invalid::{Checked, Invalid, Within};

/// A duration of the range that `google.protobuf.Duration` defines, without its negative half.
pub(super) fn duration(value: &ProtoDuration) -> Checked<Duration> {
    let ProtoDuration { seconds, nanos } = *value;
    match (u64::try_from(seconds), u32::try_from(nanos)) {
        (Ok(seconds), Ok(nanos)) if seconds <= MAX_SECONDS && nanos <= MAX_NANOS => {
            Ok(Duration::new(seconds, nanos))
        }
        _ => Err(Invalid::new(format!(
            "{seconds} s and {nanos} ns are not a duration of 0 to {MAX_SECONDS} s and 0 to {MAX_NANOS} ns"
        ))),
    }
}

/// The duration in an optional field.
pub(super) fn optional_duration(value: Option<&ProtoDuration>, field: &str) -> Checked<Option<Duration>> {
    value.map(duration).transpose().within(field)
}

const MAX_SECONDS: u64 = 315_576_000_000;
const MAX_NANOS: u32 = 999_999_999;

/// `ads` or `self`, which both mean the server that sent this resource (TR-41). No other server is ever used (SEC-02).
pub(super) fn same_server(source: Option<&ConfigSource>) -> Checked<()> {
    match source.and_then(|source| source.config_source_specifier.as_ref()) {
        Some(ConfigSourceSpecifier::Ads(_) | ConfigSourceSpecifier::Self_(_)) => Ok(()),
        _ => Err(Invalid::new("must be ads or self")),
    }
}

/// `self` only (CDS-10).
pub(super) fn is_self(source: &ConfigSource) -> Checked<()> {
    match source.config_source_specifier {
        Some(ConfigSourceSpecifier::Self_(_)) => Ok(()),
        _ => Err(Invalid::new("must be self")),
    }
}

/// Scaled to parts per million and capped there (RDS-09, EDS-12).
pub(super) fn fraction(percent: &FractionalPercent) -> Checked<Fraction> {
    let scale = match denominator(percent)? {
        DenominatorType::Hundred => 10_000,
        DenominatorType::TenThousand => 100,
        DenominatorType::Million => 1,
    };
    Ok(Fraction::per_million(percent.numerator.saturating_mul(scale)))
}

/// The unit of the numerator.
pub(super) fn denominator(percent: &FractionalPercent) -> Checked<DenominatorType> {
    DenominatorType::try_from(percent.denominator).map_err(|_| {
        let reason = format!("expected HUNDRED, TEN_THOUSAND or MILLION, found {}", percent.denominator);
        Invalid::at("denominator", reason)
    })
}

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
