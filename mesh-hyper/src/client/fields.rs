//! Fields of requests: what the client adds, and what HTTP/2 has no form for.

use http::header::{
    CONNECTION, CONTENT_LENGTH, HOST, HeaderMap, HeaderName, HeaderValue, TE, TRANSFER_ENCODING, UPGRADE,
};
use http::{Method, request};
use http_body::Body;

use super::ClientError;
use super::body::SentBody;
use super::name::normalised;

/// Makes the length that the head announces that of the body, so that every reader finds the same end.
pub(super) fn complete(head: &mut request::Parts, body: &SentBody) -> Result<(), ClientError> {
    let announced = announced_length(&head.headers)?;
    match (body.size_hint().exact(), announced) {
        (Some(length), Some(announced)) if length != announced => {
            let text = format!("content-length is {announced}, and the body has {length} bytes");
            Err(ClientError::request(text))
        }
        // F7: a length and a coding together are how requests are smuggled
        (_, Some(_)) => {
            head.headers.remove(TRANSFER_ENCODING);
            Ok(())
        }
        (Some(length), None) => {
            head.headers.remove(TRANSFER_ENCODING);
            if length > 0 || expects_body(&head.method) {
                head.headers.insert(CONTENT_LENGTH, length.into());
            }
            Ok(())
        }
        (None, None) => Ok(()),
    }
}

/// S2: the length that the fields announce, which must be one number.
fn announced_length(headers: &HeaderMap) -> Result<Option<u64>, ClientError> {
    let mut values = headers.get_all(CONTENT_LENGTH).iter();
    let Some(first) = values.next() else { return Ok(None) };
    let is_number = |value: &HeaderValue| value.as_bytes().iter().all(u8::is_ascii_digit);
    let number = first.to_str().ok().filter(|_| is_number(first)).and_then(|text| text.parse().ok());
    match number {
        Some(number) if values.next().is_none() => Ok(Some(number)),
        _ => Err(ClientError::request("content-length is not one number")),
    }
}

/// RFC 9110 section 8.6: such a request says that it has no body.
fn expects_body(method: &Method) -> bool {
    matches!(*method, Method::POST | Method::PUT | Method::PATCH)
}

/// T1: the URL says where a request goes. A `host` field that says the same is not needed, and another one is refused.
pub(super) fn remove_host(headers: &mut HeaderMap, name: &str) -> Result<(), ClientError> {
    let mut hosts = headers.get_all(HOST).iter();
    let names_other =
        |host: &HeaderValue| host.to_str().ok().and_then(normalised).is_none_or(|host| host != name);
    if hosts.any(names_other) {
        return Err(ClientError::request(format!(
            "the host field names another service than the URL: {name}"
        )));
    }
    headers.remove(HOST);
    Ok(())
}

/// H2: removes the fields that concern one connection of HTTP/1.1, which HTTP/2 must not carry (RFC 9113 section 8.2.2), and those
/// that `connection` names. `te: trailers` stays.
pub(super) fn remove_hop_by_hop(headers: &mut HeaderMap) {
    let has_some = HOP_BY_HOP.iter().any(|name| headers.contains_key(name));
    if has_some {
        let named: Vec<HeaderName> = headers.get_all(CONNECTION).iter().flat_map(names).collect();
        for name in named.iter().chain(&HOP_BY_HOP) {
            if name != TE {
                headers.remove(name);
            }
        }
    }
    if headers.contains_key(TE) {
        let takes_trailers = headers.get_all(TE).iter().flat_map(tokens).any(|token| {
            let coding = token.split(';').next().unwrap_or_default().trim();
            coding.eq_ignore_ascii_case("trailers")
        });
        headers.remove(TE);
        if takes_trailers {
            headers.insert(TE, HeaderValue::from_static("trailers"));
        }
    }
}

fn tokens(value: &HeaderValue) -> impl Iterator<Item = &str> {
    value.to_str().unwrap_or_default().split(',').map(str::trim)
}

fn names(value: &HeaderValue) -> impl Iterator<Item = HeaderName> {
    tokens(value).filter_map(|token| HeaderName::from_bytes(token.as_bytes()).ok())
}

const HOP_BY_HOP: [HeaderName; 5] = [
    CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    TRANSFER_ENCODING,
    UPGRADE,
];

#[cfg(test)]
mod tests {
    use super::*;

    fn map(fields: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(*name, HeaderValue::from_static(value));
        }
        headers
    }

    /// H2: a request that was made for HTTP/1.1 is sent over HTTP/2.
    #[test]
    fn fields_of_one_connection_are_not_sent_over_http2() {
        let mut headers = map(&[
            ("connection", "keep-alive, X-Hop"),
            ("connection", "Upgrade, TE"),
            ("x-hop", "1"),
            ("keep-alive", "timeout=5"),
            ("proxy-connection", "keep-alive"),
            ("upgrade", "h2c"),
            ("transfer-encoding", "chunked"),
            ("te", "Trailers, deflate;q=0.5"),
            ("x-kept", "1"),
        ]);
        remove_hop_by_hop(&mut headers);
        assert_eq!(headers, map(&[("te", "trailers"), ("x-kept", "1")]));
        let mut headers = map(&[("te", "gzip"), ("x-kept", "1")]);
        remove_hop_by_hop(&mut headers);
        assert_eq!(headers, map(&[("x-kept", "1")]));
    }

    /// S2: lengths that a reader could understand in two ways.
    #[test]
    fn length_that_is_not_one_number_is_refused() {
        for values in [
            &["+5"][..],
            &["0x5"],
            &["-0"],
            &["5, 6"],
            &["5", "6"],
            &["5", "5"],
            &[""],
            &["99999999999999999999"],
        ] {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(CONTENT_LENGTH, HeaderValue::from_static(value));
            }
            assert!(announced_length(&headers).is_err(), "{values:?}");
        }
        assert_eq!(announced_length(&map(&[("content-length", "05")])).unwrap(), Some(5));
    }
}
