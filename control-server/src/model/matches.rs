//! Translates Istio's matches to matches of gRPC clients.

use super::route::{HeaderMatch, PathMatch, RouteMatch};
use crate::kinds::virtual_service::HttpMatch;
use crate::kinds::{Pattern, StringMatch};

/// One match as several alternatives: a header that must not have a value may be missing or have another one,
/// which are two matches for clients (RT-13).
pub(super) fn expand(http: &HttpMatch) -> Vec<RouteMatch> {
    let mut headers: Vec<HeaderMatch> =
        http.headers.iter().map(|(name, value)| header(name, value, false)).collect();
    if let Some(authority) = &http.authority {
        headers.push(header(":authority", authority, false));
    }
    let mut alternatives = vec![headers];
    for (name, value) in &http.without_headers {
        let mut ways = vec![HeaderMatch { pattern: Pattern::Present, ..header(name, value, true) }];
        if value.pattern() != Pattern::Present {
            ways.push(header(name, value, true));
        }
        alternatives = alternatives
            .iter()
            .flat_map(|headers| {
                ways.iter().map(|way| [headers.as_slice(), std::slice::from_ref(way)].concat())
            })
            .collect();
    }
    let path = path(http.uri.as_ref(), http.ignore_uri_case);
    alternatives.into_iter().map(|headers| RouteMatch::new(path.clone(), headers)).collect()
}

fn header(name: &str, value: &StringMatch, is_inverted: bool) -> HeaderMatch {
    HeaderMatch { name: name.to_ascii_lowercase(), pattern: value.pattern(), is_inverted }
}

fn path(uri: Option<&StringMatch>, ignore_case: bool) -> PathMatch {
    match uri.map(StringMatch::pattern) {
        None | Some(Pattern::Present) => PathMatch::any(),
        Some(Pattern::Exact(path)) => PathMatch::Exact { path, ignore_case },
        Some(Pattern::Prefix(prefix)) => PathMatch::Prefix { prefix, ignore_case },
        Some(Pattern::Regex(regex)) => PathMatch::Regex(regex),
    }
}
