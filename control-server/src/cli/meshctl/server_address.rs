//! Where a program reaches a control server: the `server_uri` of a bootstrap, checked before a program meets it.

use std::fmt;
use std::str::FromStr;

/// A gRPC target that names its port or a Unix socket.
///
/// gRPC takes port 443 where none is named, and a URL of the web for a name to resolve: both are mistakes here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ServerAddress(String);

/// Why a text is no [`ServerAddress`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum AddressError {
    #[error("expected HOST:PORT, not a URL; --tls-ca or --tls makes the connection TLS")]
    Url,
    #[error("this scheme is not known; expected HOST:PORT, dns:///HOST:PORT or unix:PATH")]
    Scheme,
    #[error("the port is missing; expected HOST:PORT, for example control-server.example:15010")]
    NoPort,
    #[error("the port is no number from 1 to 65535; expected HOST:PORT")]
    Port,
    #[error("the host is missing or cannot be one; expected HOST:PORT, an IPv6 address as [::1]:15010")]
    Host,
    #[error("the path is missing; expected unix:PATH")]
    Path,
}

impl FromStr for ServerAddress {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        check(text).map(|()| Self(text.to_owned()))
    }
}

impl fmt::Display for ServerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn check(text: &str) -> Result<(), AddressError> {
    if let Some(path) = text.strip_prefix("unix:") {
        let path = path.strip_prefix("//").unwrap_or(path);
        return if path.is_empty() { Err(AddressError::Path) } else { Ok(()) };
    }
    if ["http://", "https://", "grpc://", "grpcs://"].iter().any(|scheme| text.starts_with(scheme)) {
        return Err(AddressError::Url);
    }
    let address = match text.strip_prefix("dns:") {
        // `dns://resolver/host:port`
        Some(name) => match name.strip_prefix("//") {
            Some(name) => name.split_once('/').map_or("", |(_resolver, address)| address),
            None => name,
        },
        None => text.strip_prefix("ipv4:").or_else(|| text.strip_prefix("ipv6:")).unwrap_or(text),
    };
    if address.contains("://") {
        return Err(AddressError::Scheme);
    }
    check_host_and_port(address)
}

fn check_host_and_port(address: &str) -> Result<(), AddressError> {
    let (host, port) = match address.strip_prefix('[') {
        Some(rest) => {
            let (host, rest) = rest.split_once(']').ok_or(AddressError::Host)?;
            host.parse::<std::net::Ipv6Addr>().map_err(|_| AddressError::Host)?;
            (host, rest.strip_prefix(':').ok_or(AddressError::NoPort)?)
        }
        None => address.rsplit_once(':').ok_or(AddressError::NoPort)?,
    };
    let is_bracketed = address.starts_with('[');
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    if host.is_empty() || !(is_bracketed || host.bytes().all(is_name)) {
        return Err(AddressError::Host);
    }
    match port.parse::<u16>() {
        Ok(1..) if port.bytes().all(|byte| byte.is_ascii_digit()) => Ok(()),
        _ => Err(AddressError::Port),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_name_a_port_or_a_socket() {
        for text in [
            "127.0.0.1:15010",
            "control-server.mesh.svc:1",
            "[::1]:65535",
            "dns:control.example:15010",
            "dns:///control.example:15010",
            "dns://8.8.8.8/control.example:15010",
            "ipv4:10.0.0.1:15010",
            "ipv6:[::1]:15010",
            "unix:/run/xds.sock",
            "unix:///run/xds.sock",
        ] {
            assert_eq!(text.parse::<ServerAddress>().map(|found| found.to_string()), Ok(text.to_owned()));
        }
    }

    #[test]
    fn mistakes_are_told_apart() {
        for (text, expected) in [
            ("localhost", AddressError::NoPort),
            ("dns:///localhost", AddressError::NoPort),
            ("[::1]", AddressError::NoPort),
            ("", AddressError::NoPort),
            ("http://x:1", AddressError::Url),
            ("https://x:1", AddressError::Url),
            ("ftp://x:1", AddressError::Scheme),
            ("x:", AddressError::Port),
            ("x:0", AddressError::Port),
            ("x:+1", AddressError::Port),
            ("x:65536", AddressError::Port),
            ("x:xds", AddressError::Port),
            (":15010", AddressError::Host),
            ("::1:15010", AddressError::Host),
            ("[x]:15010", AddressError::Host),
            ("[::1:15010", AddressError::Host),
            ("a b:15010", AddressError::Host),
            ("user@x:15010", AddressError::Host),
            ("unix:", AddressError::Path),
        ] {
            assert_eq!(text.parse::<ServerAddress>(), Err(expected), "{text:?}");
        }
    }
}
