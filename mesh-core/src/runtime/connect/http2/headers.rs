//! Heads and trailers: their size, and what HTTP/2 cannot carry of them.

use http::HeaderMap;
use http::header::{HeaderName, HeaderValue};
use http::request::Parts;

/// The size of fields as SETTINGS_MAX_HEADER_LIST_SIZE counts it (RFC 9113 section 6.5.2).
pub(super) fn fields_size(fields: &HeaderMap) -> usize {
    fields.iter().map(|(name, value)| field_size(name, value)).sum()
}

fn field_size(name: &HeaderName, value: &HeaderValue) -> usize {
    name.as_str().len() + value.len() + FIELD
}

/// A request's head as the endpoint will count and judge it.
#[derive(Debug, Clone, Copy)]
pub(super) struct HeadSummary {
    /// Its size.
    pub(super) size: usize,
    /// HTTP/2 has no form for it (RFC 9113 section 8.2.2, 8.3.1).
    pub(super) is_malformed: bool,
}

impl HeadSummary {
    pub(super) fn of(head: &Parts) -> Self {
        let (uri, scheme) = (&head.uri, head.uri.scheme_str());
        let (authority, path) = (uri.authority(), uri.path_and_query());
        let pseudo = [
            head.method.as_str().len() + ":method".len(),
            scheme.map_or(0, str::len) + ":scheme".len(),
            authority.map_or(0, |authority| authority.as_str().len()) + ":authority".len(),
            path.map_or(0, |path| path.as_str().len()) + ":path".len(),
        ];
        let mut summary = Self {
            size: pseudo.iter().map(|size| size + FIELD).sum(),
            is_malformed: scheme.is_none() || authority.is_none(),
        };
        for (name, value) in &head.headers {
            summary.size += field_size(name, value);
            summary.is_malformed |= match name.as_str() {
                "connection" | "keep-alive" | "proxy-connection" | "transfer-encoding" | "upgrade" => true,
                "te" => value != "trailers",
                _ => false,
            };
        }
        summary
    }
}

/// What each field counts beside its name and value.
const FIELD: usize = 32;

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn head(fields: &[(&'static str, &'static str)]) -> Parts {
        let mut request = Request::post("http://host/path?query");
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap().into_parts().0
    }

    #[test]
    fn head_is_malformed_if_http2_has_no_form_for_it() {
        for (field, is_malformed) in [
            (("connection", "close"), true),
            (("keep-alive", "1"), true),
            (("proxy-connection", "close"), true),
            (("transfer-encoding", "chunked"), true),
            (("upgrade", "h2c"), true),
            (("te", "gzip"), true),
            (("te", "trailers"), false),
            (("x-connection", "close"), false),
        ] {
            assert_eq!(HeadSummary::of(&head(&[field])).is_malformed, is_malformed, "{field:?}");
        }
        for uri in ["/path", "*"] {
            let (head, ()) = Request::get(uri).body(()).unwrap().into_parts();
            assert!(HeadSummary::of(&head).is_malformed, "{uri}");
        }
    }
}
