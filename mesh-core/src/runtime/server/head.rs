//! The head of a request as rules and the application see it: one authority, whatever the client has sent.

use http::header::HOST;
use http::request::Parts;
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderValue, StatusCode, Uri, Version};

use crate::filter::LocalReply;

/// Gives a request its one authority: that of `:authority`, else of `host`, in lower case, without the final dot of its
/// name, and with its port. `host` is removed.
///
/// # Errors
/// The reply to a request that has two of them.
// SV-19, SEC-07
pub(super) fn normalise(head: &mut Parts) -> Result<(), Box<LocalReply>> {
    let mut hosts = head.headers.get_all(HOST).iter();
    let (host, second) = (hosts.next().cloned(), hosts.next());
    if second.is_some() {
        return Err(malformed("two host headers"));
    }
    let sent = match head.uri.authority() {
        Some(authority) => Some(authority.clone()),
        // RFC 9112 section 3.2: an empty one is legal, and names no host
        None => host.as_ref().filter(|host| !host.is_empty()).map(authority).transpose()?,
    };
    // RFC 9112 section 3.2; an authority as target counts in its place
    if host.is_none() && head.version == Version::HTTP_11 && head.uri.authority().is_none() {
        return Err(malformed("no host header"));
    }
    head.headers.remove(HOST);
    let Some(sent) = sent else { return Ok(()) };
    let authority = match canonical(sent.as_str()) {
        Some(text) => Authority::try_from(text).map_err(|_| malformed("an authority that is none"))?,
        None => sent,
    };
    let mut parts = std::mem::take(&mut head.uri).into_parts();
    parts.authority = Some(authority);
    parts.scheme.get_or_insert(Scheme::HTTP);
    parts.path_and_query.get_or_insert(PathAndQuery::from_static("/"));
    head.uri = Uri::from_parts(parts).map_err(|_| malformed("a target that is none"))?;
    Ok(())
}

fn authority(host: &HeaderValue) -> Result<Authority, Box<LocalReply>> {
    Authority::try_from(host.as_bytes()).map_err(|_| malformed("a host header that is no authority"))
}

/// In lower case, without the final dot of the name; `None`: it is so already.
fn canonical(authority: &str) -> Option<String> {
    let (name, port) = match authority.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|digit| digit.is_ascii_digit()) => (name, Some(port)),
        _ => (authority, None),
    };
    let without_dot = name.strip_suffix('.').filter(|rest| !rest.is_empty()).unwrap_or(name);
    if without_dot.len() == name.len() && !name.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return None;
    }
    let lower = without_dot.to_ascii_lowercase();
    Some(port.map_or_else(|| lower.clone(), |port| format!("{lower}:{port}")))
}

/// gRPC's INTERNAL.
fn malformed(what: &str) -> Box<LocalReply> {
    Box::new(LocalReply::http(StatusCode::BAD_REQUEST, format!("the request has {what}")))
}

#[cfg(test)]
mod tests {
    use http::{Request, Version};

    use super::*;

    fn normalised(uri: &str, hosts: &[&str]) -> Result<String, String> {
        normalised_in(Version::HTTP_2, uri, hosts)
    }

    fn normalised_in(version: Version, uri: &str, hosts: &[&str]) -> Result<String, String> {
        let mut request = Request::builder().uri(uri).version(version);
        for host in hosts {
            request = request.header(HOST, *host);
        }
        let (mut head, ()) = request.body(()).unwrap().into_parts();
        normalise(&mut head).map_err(|reply| reply.message.to_string())?;
        assert!(!head.headers.contains_key(HOST));
        assert_eq!(head.uri.path(), "/pkg.Svc/Get");
        Ok(head.uri.authority().map(ToString::to_string).unwrap_or_default())
    }

    #[test]
    fn request_of_http_1_1_has_to_name_its_host() {
        let rows: [(&str, &[&str], Result<&str, &str>); 4] = [
            ("/pkg.Svc/Get", &[], Err("the request has no host header")),
            ("/pkg.Svc/Get", &[""], Ok("")),
            ("http://B.example/pkg.Svc/Get", &["a.example"], Ok("b.example")),
            ("http://b.example/pkg.Svc/Get", &[], Ok("b.example")),
        ];
        for (uri, hosts, expected) in rows {
            let found = normalised_in(Version::HTTP_11, uri, hosts);
            assert_eq!(found.as_deref().map_err(String::as_str), expected, "{uri} {hosts:?}");
        }
    }

    /// Proves: SV-19.
    #[test]
    fn request_has_one_authority_in_one_form() {
        let rows: [(&str, &[&str], Result<&str, &str>); 12] = [
            ("http://a.example/pkg.Svc/Get", &[], Ok("a.example")),
            ("http://A.Example/pkg.Svc/Get", &[], Ok("a.example")),
            ("http://a.example./pkg.Svc/Get", &[], Ok("a.example")),
            ("http://a.example.:50051/pkg.Svc/Get", &[], Ok("a.example:50051")),
            ("http://[FD00::1]:50051/pkg.Svc/Get", &[], Ok("[fd00::1]:50051")),
            ("http://[fd00::1]/pkg.Svc/Get", &[], Ok("[fd00::1]")),
            ("/pkg.Svc/Get", &["B.example"], Ok("b.example")),
            ("http://a.example/pkg.Svc/Get", &["b.example"], Ok("a.example")),
            ("/pkg.Svc/Get", &[], Ok("")),
            (
                "http://a.example/pkg.Svc/Get",
                &["a.example", "a.example"],
                Err("the request has two host headers"),
            ),
            ("/pkg.Svc/Get", &["a.example", "b.example"], Err("the request has two host headers")),
            ("/pkg.Svc/Get", &["a b"], Err("the request has a host header that is no authority")),
        ];
        for (uri, hosts, expected) in rows {
            let found = normalised(uri, hosts);
            assert_eq!(found.as_deref().map_err(String::as_str), expected, "{uri} {hosts:?}");
        }
    }
}
