//! The endpoint of a session, as requests and responses carry it (gRFC A55, A60, A61).

use std::net::SocketAddr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use http::header::COOKIE;

use crate::config::{EndpointAddresses, Name};

/// The endpoint that a session is bound to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SessionHost {
    /// The addresses of the endpoint, the one that was used first.
    pub(crate) addresses: EndpointAddresses,
    /// The endpoint's cluster; `None`: the session does not name one.
    pub(crate) cluster: Option<Name>,
}

impl SessionHost {
    /// HF-25: `ip:port,ip:port;cluster` in base64. `None`: it is something else.
    pub(crate) fn decode(text: &str) -> Option<Self> {
        let text = String::from_utf8(STANDARD.decode(text).ok()?).ok()?;
        let (addresses, cluster) = match text.split_once(';') {
            Some((addresses, cluster)) => (addresses, Some(cluster)),
            None => (text.as_str(), None),
        };
        let addresses: Option<Vec<SocketAddr>> = addresses.split(',').map(|one| one.parse().ok()).collect();
        let mut addresses = addresses?.into_iter();
        let addresses = EndpointAddresses::new(addresses.next()?, addresses);
        Some(Self { addresses, cluster: cluster.filter(|cluster| !cluster.is_empty()).map(Name::from) })
    }

    /// The form in which responses carry it.
    pub(crate) fn encode(&self) -> String {
        let addresses: Vec<_> = self.addresses.as_slice().iter().map(SocketAddr::to_string).collect();
        let addresses = addresses.join(",");
        STANDARD.encode(match &self.cluster {
            Some(cluster) => format!("{addresses};{cluster}"),
            None => addresses,
        })
    }

    /// Whether both mean the same endpoint of the same cluster.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.cluster == other.cluster && self.addresses.identity() == other.addresses.identity()
    }
}

/// HF-25: the value of the first cookie of this name.
pub(crate) fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let texts = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
    let pairs = texts.flat_map(|text| text.split(';')).filter_map(|pair| pair.split_once('='));
    let mut values = pairs.filter(|(key, _)| key.trim() == name);
    values.next().map(|(_, value)| value.trim().trim_matches('"'))
}

/// HF-25: whether a cookie of this path belongs to a request of that path (RFC 6265 section 5.1.4).
pub(crate) fn is_path_of(cookie: &str, request: &str) -> bool {
    match request.strip_prefix(cookie) {
        Some(rest) => rest.is_empty() || cookie.ends_with('/') || rest.starts_with('/'),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(text: &str) -> Option<SessionHost> {
        SessionHost::decode(&STANDARD.encode(text))
    }

    /// Proves: HF-25.
    #[test]
    fn sessions_name_addresses_and_a_cluster() {
        for (text, addresses, cluster) in [
            ("10.0.0.1:80;shop", 1, Some("shop")),
            ("10.0.0.1:80,[::1]:81;shop", 2, Some("shop")),
            ("10.0.0.1:80", 1, None),
            ("10.0.0.1:80;", 1, None),
        ] {
            let found = host(text).unwrap();
            assert_eq!((found.addresses.as_slice().len(), found.cluster.as_deref()), (addresses, cluster));
            assert_eq!(SessionHost::decode(&found.encode()), Some(found), "{text}");
        }
        for wrong in ["", ";shop", "10.0.0.1;shop", "10.0.0.1:80,;shop", "shop", "10.0.0.1:80 ;shop"] {
            assert_eq!(host(wrong), None, "{wrong:?}");
        }
        assert_eq!(SessionHost::decode("10.0.0.1:80"), None, "not in base64");
    }

    #[test]
    fn another_order_of_addresses_is_the_same_endpoint() {
        let first = host("10.0.0.1:80,10.0.0.2:80;a").unwrap();
        assert!(first.is_same(&host("10.0.0.2:80,10.0.0.1:80;a").unwrap()));
        assert!(!first.is_same(&host("10.0.0.1:80;a").unwrap()));
        assert!(!first.is_same(&host("10.0.0.1:80,10.0.0.2:80;b").unwrap()));
    }

    /// Proves: HF-25.
    #[test]
    fn first_cookie_of_the_name_counts() {
        let mut headers = HeaderMap::new();
        assert_eq!(cookie(&headers, "a"), None);
        headers.append(COOKIE, "b=1; a=2;a=3".parse().unwrap());
        headers.append(COOKIE, "a=4; c=\"5\"".parse().unwrap());
        let found = ["a", "b", "c", "d"].map(|name| cookie(&headers, name));
        assert_eq!(found, [Some("2"), Some("1"), Some("5"), None]);
    }

    /// Proves: HF-25.
    #[test]
    fn paths_match_by_whole_segments() {
        for (cookie, request, is_match) in [
            ("/", "/pkg.Svc/Get", true),
            ("/pkg.Svc", "/pkg.Svc/Get", true),
            ("/pkg.Svc/", "/pkg.Svc/Get", true),
            ("/pkg.Svc/Get", "/pkg.Svc/Get", true),
            ("/pkg", "/pkg.Svc/Get", false),
            ("/pkg.Svc/Get", "/pkg.Svc/Ge", false),
        ] {
            assert_eq!(is_path_of(cookie, request), is_match, "{cookie} {request}");
        }
    }
}
