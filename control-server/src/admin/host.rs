//! Who may be asked for by name, and from where: a page of another site in a browser reads nothing here.
//!
//! A site can make its own name stand for `127.0.0.1` (DNS rebinding). The browser then sends the site's name as the host, so a
//! name is refused unless it was allowed. An address is no name, and stands for itself.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::http::header::{HOST, HeaderValue, ORIGIN};
use axum::http::uri::Authority;
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

use super::error::Failure;

/// The names by which the admin API may be asked, besides addresses and `localhost`.
#[derive(Debug, Clone, Default)]
pub struct AllowedHosts(Arc<[String]>);

impl AllowedHosts {
    /// With these names, without a port; `*` allows every name.
    pub fn new(names: impl IntoIterator<Item = String>) -> Self {
        Self(names.into_iter().map(|name| name.to_ascii_lowercase()).collect())
    }

    fn allows(&self, host: &str) -> bool {
        let host = host.trim_end_matches('.').to_ascii_lowercase();
        let address = host.trim_start_matches('[').trim_end_matches(']');
        address.parse::<IpAddr>().is_ok()
            || host == "localhost"
            || host.ends_with(".localhost")
            || self.0.iter().any(|name| *name == host || name == "*")
    }
}

/// Refuses a request for a name that is not allowed, or from a page of another site.
pub(super) async fn check(State(allowed): State<AllowedHosts>, request: Request, next: Next) -> Response {
    match refusal(&allowed, &request) {
        None => next.run(request).await,
        Some(message) => Failure::new(StatusCode::FORBIDDEN, message).into_response(),
    }
}

fn refusal(allowed: &AllowedHosts, request: &Request) -> Option<String> {
    let named = request.uri().authority().cloned();
    let header = request.headers().get(HOST).map(authority);
    // No browser leaves it out.
    let hosts = named.map(Some).into_iter().chain(header);
    for host in hosts.clone() {
        let Some(host) = host else { return Some("the host of the request cannot be read".to_owned()) };
        if !allowed.allows(host.host()) {
            return Some(format!(
                "the admin API is not served for the host {:?}; ask for its address, or start the server with --admin-host \
                 and this name",
                host.host()
            ));
        }
    }
    let origin = request.headers().get(ORIGIN)?;
    let site = origin.to_str().ok().and_then(|origin| origin.split_once("://")).map(|(_, site)| site);
    let is_own = |host: Option<Authority>| host.is_some_and(|host| Some(host.as_str()) == site);
    (!hosts.into_iter().any(is_own)).then(|| "pages of other sites read nothing here".to_owned())
}

/// An empty host stands for none.
fn authority(value: &HeaderValue) -> Option<Authority> {
    value.to_str().ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    fn answer(hosts: &[&str], uri: &str, headers: &[(&str, &str)]) -> Option<String> {
        let allowed = AllowedHosts::new(hosts.iter().map(ToString::to_string));
        let mut request = Request::get(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        refusal(&allowed, &request.body(Body::empty()).unwrap())
    }

    #[test]
    fn addresses_and_loopback_names_are_always_allowed() {
        for host in
            ["127.0.0.1:15080", "10.1.2.3", "[::1]:15080", "localhost:1", "LocalHost.", "a.localhost:2"]
        {
            assert_eq!(answer(&[], "/", &[("host", host)]), None, "{host}");
        }
        assert_eq!(answer(&[], "/", &[]), None, "HTTP/1.0");
    }

    #[test]
    fn other_names_are_refused_unless_allowed() {
        for host in ["evil.example", "evil.example:15080", "127.0.0.1.evil.example", "localhost.evil.example"]
        {
            let refusal = answer(&["mesh.internal"], "/v1/config", &[("host", host)]);
            assert!(
                refusal.as_ref().is_some_and(|text| text.contains("--admin-host")),
                "{host}: {refusal:?}"
            );
            assert_eq!(answer(&["*"], "/", &[("host", host)]), None, "{host}");
        }
        assert_eq!(answer(&["Mesh.Internal"], "/", &[("host", "mesh.internal:80")]), None);
        assert!(answer(&[], "http://evil.example/", &[("host", "127.0.0.1")]).is_some(), "HTTP/2's host");
        assert!(answer(&[], "/", &[("host", "a b")]).is_some());
    }

    #[test]
    fn pages_of_other_sites_are_refused() {
        let from = |origin| answer(&[], "/", &[("host", "127.0.0.1:15080"), ("origin", origin)]);
        assert_eq!(from("http://127.0.0.1:15080"), None);
        for origin in ["http://evil.example", "null", "http://127.0.0.1:1"] {
            assert!(from(origin).is_some(), "{origin}");
        }
    }
}
