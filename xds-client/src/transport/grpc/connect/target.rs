//! Parses gRPC's target syntax, as far as it names addresses.

use std::net::SocketAddr;
use std::path::PathBuf;

use crate::transport::TransportError;

/// The address of a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) struct Target {
    pub(in super::super) place: Place,
    /// The server's name in requests and certificates, without the port.
    pub(in super::super) host: String,
    /// The server's name in requests.
    pub(in super::super) authority: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) enum Place {
    /// A name to resolve, or an address.
    Name(String, u16),
    Addresses(Vec<SocketAddr>),
    Unix(PathBuf),
}

impl Target {
    /// Reads `host:port`, `dns:host:port`, `dns://resolver/host:port`, `ipv4:` and `ipv6:` with addresses, `unix:path`,
    /// and URLs of `http` and `https`, which must agree with whether TLS is used. The port of a name is 443 if there is
    /// none; those of `ipv4:` and `ipv6:` must be given.
    pub(in super::super) fn parse(uri: &str, is_tls: bool) -> Result<Self, TransportError> {
        let wrong = |reason: &str| TransportError::credentials(format!("server_uri {uri:?}: {reason}"));
        if let Some(path) = uri.strip_prefix("unix:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            return match path {
                "" => Err(wrong("no path")),
                path => Ok(Self {
                    place: Place::Unix(path.into()),
                    host: "localhost".to_owned(),
                    authority: "localhost".to_owned(),
                }),
            };
        }
        if let Some(list) = uri.strip_prefix("ipv4:").or_else(|| uri.strip_prefix("ipv6:")) {
            return addresses(list).ok_or_else(|| wrong("expected IP addresses with ports"));
        }
        let address = match uri.split_once("://") {
            // `dns://resolver/host`: the system's resolver is used all the same.
            Some(("dns", rest)) => rest.split_once('/').map_or(rest, |(_resolver, address)| address),
            Some(("https", rest)) if is_tls => rest.trim_end_matches('/'),
            Some(("http", rest)) if !is_tls => rest.trim_end_matches('/'),
            Some(("https" | "http", _)) => {
                return Err(wrong("the scheme does not go with its channel_creds"));
            }
            Some(_) => return Err(wrong("expected host:port, or a target of dns, ipv4, ipv6 or unix")),
            None => uri.strip_prefix("dns:").unwrap_or(uri),
        };
        let (host, port) = host_and_port(address).ok_or_else(|| wrong("expected host:port"))?;
        let authority = match host.contains(':') {
            true => format!("[{host}]:{port}"),
            false => format!("{host}:{port}"),
        };
        Ok(Self { place: Place::Name(host.to_owned(), port), host: host.to_owned(), authority })
    }
}

fn addresses(list: &str) -> Option<Target> {
    let all: Result<Vec<SocketAddr>, _> = list.split(',').map(str::parse).collect();
    let all = all.ok()?;
    let first = *all.first()?;
    Some(Target { place: Place::Addresses(all), host: first.ip().to_string(), authority: first.to_string() })
}

fn host_and_port(address: &str) -> Option<(&str, u16)> {
    let (host, port) = match address.strip_prefix('[') {
        Some(rest) => {
            let (host, rest) = rest.split_once(']')?;
            (host, rest.strip_prefix(':').or_else(|| rest.is_empty().then_some("443"))?)
        }
        None => match address.rsplit_once(':') {
            // An IPv6 address without brackets.
            Some((host, _)) if host.contains(':') => (address, "443"),
            Some(parts) => parts,
            None => (address, "443"),
        },
    };
    let is_name = !host.is_empty() && !host.contains(['/', '@', '?', '#', ' ']);
    Some((host, port.parse().ok()?)).filter(|_| is_name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grpc_targets_are_parsed() {
        let name = |host: &str, port| Place::Name(host.to_owned(), port);
        let rows = [
            ("127.0.0.1:15010", name("127.0.0.1", 15010), "127.0.0.1:15010"),
            ("[::1]:15010", name("::1", 15010), "[::1]:15010"),
            ("::1", name("::1", 443), "[::1]:443"),
            ("[::1]", name("::1", 443), "[::1]:443"),
            ("control.example:15010", name("control.example", 15010), "control.example:15010"),
            ("control.example", name("control.example", 443), "control.example:443"),
            ("dns:control.example:15010", name("control.example", 15010), "control.example:15010"),
            ("dns:///control.example:15010", name("control.example", 15010), "control.example:15010"),
            ("dns://8.8.8.8/control.example:1", name("control.example", 1), "control.example:1"),
            ("http://control.example:80/", name("control.example", 80), "control.example:80"),
            ("unix:/run/xds.sock", Place::Unix("/run/xds.sock".into()), "localhost"),
            ("unix:///run/xds.sock", Place::Unix("/run/xds.sock".into()), "localhost"),
            ("unix:xds.sock", Place::Unix("xds.sock".into()), "localhost"),
            (
                "ipv4:127.0.0.1:1,127.0.0.2:2",
                Place::Addresses(vec![([127, 0, 0, 1], 1).into(), ([127, 0, 0, 2], 2).into()]),
                "127.0.0.1:1",
            ),
            ("ipv6:[::1]:1", Place::Addresses(vec!["[::1]:1".parse().unwrap()]), "[::1]:1"),
        ];
        for (uri, place, authority) in rows {
            let target = Target::parse(uri, false).unwrap();
            assert_eq!((target.place, target.authority.as_str()), (place, authority), "{uri}");
        }
        assert_eq!(Target::parse("https://a", true).unwrap().place, name("a", 443));
    }

    #[test]
    fn target_without_address_is_refused_with_the_uri() {
        let rows = [
            ("", "expected host:port"),
            (":1", "expected host:port"),
            ("a:b", "expected host:port"),
            ("a:65536", "expected host:port"),
            ("a b:1", "expected host:port"),
            ("[::1:1", "expected host:port"),
            ("user@a:1", "expected host:port"),
            ("unix:", "no path"),
            ("ipv4:a:1", "expected IP addresses"),
            ("ipv4:127.0.0.1", "expected IP addresses with ports"),
            ("ipv6:[::1]", "expected IP addresses with ports"),
            ("xds:///a", "expected host:port, or a target"),
            ("https://a", "does not go with its channel_creds"),
        ];
        for (uri, reason) in rows {
            let error = Target::parse(uri, false).unwrap_err().to_string();
            assert!(error.contains(&format!("{uri:?}")) && error.contains(reason), "{uri}: {error}");
        }
        assert!(Target::parse("http://a", true).is_err());
    }
}
