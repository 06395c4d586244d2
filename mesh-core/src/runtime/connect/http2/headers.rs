//! The size of heads and trailers, and what HTTP/2 cannot carry.

use http::HeaderMap;
use http::header::TE;
use http::request::Parts;

/// The size of fields as SETTINGS_MAX_HEADER_LIST_SIZE counts it (RFC 9113 section 6.5.2).
pub(super) fn fields_size(fields: &HeaderMap) -> usize {
    fields.iter().map(|(name, value)| name.as_str().len() + value.len() + FIELD).sum()
}

/// The size of a request's head.
pub(super) fn head_size(head: &Parts) -> usize {
    let uri = &head.uri;
    let pseudo = [
        head.method.as_str().len() + ":method".len(),
        uri.scheme_str().map_or(0, str::len) + ":scheme".len(),
        uri.authority().map_or(0, |authority| authority.as_str().len()) + ":authority".len(),
        uri.path_and_query().map_or(0, |path| path.as_str().len()) + ":path".len(),
    ];
    pseudo.iter().map(|size| size + FIELD).sum::<usize>() + fields_size(&head.headers)
}

/// Whether HTTP/2 has no form for the request (RFC 9113 section 8.2.2, 8.3.1).
pub(super) fn is_malformed(head: &Parts) -> bool {
    let hop_by_hop = ["connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade"];
    hop_by_hop.iter().any(|name| head.headers.contains_key(*name))
        || head.headers.get(TE).is_some_and(|te| te != "trailers")
        || head.uri.scheme().is_none()
        || head.uri.authority().is_none()
}

/// What each field counts beside its name and value.
const FIELD: usize = 32;
