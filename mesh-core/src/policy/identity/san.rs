//! Matchers over the names of a certificate (gRFC A29, "Server authorization").

use std::net::IpAddr;

use crate::policy::matcher::{StringMatcher, StringPattern};

use super::{SpiffeId, SubjectNames};

/// Whether any matcher matches any name.
// TLS-15, TLS-16
pub(crate) fn any_matches(matchers: &[StringMatcher], names: &SubjectNames) -> bool {
    matchers.iter().any(|matcher| {
        names.dns.iter().any(|name| matches_dns(matcher, name))
            || names.uris.iter().any(|uri| matches_uri(matcher, uri))
            || names.emails.iter().any(|email| matches_text(matcher, email))
            || names.addresses.iter().any(|address| matches_address(matcher, address))
    })
}

/// TLS-16: an empty name never matches.
fn matches_text(matcher: &StringMatcher, text: &str) -> bool {
    !text.is_empty() && matcher.matches(text)
}

fn matches_dns(matcher: &StringMatcher, name: &str) -> bool {
    match &matcher.pattern {
        StringPattern::Exact(host) => dns_covers(name, host),
        _ => matches_text(matcher, name),
    }
}

/// SPIFFE ids compare with scheme and trust domain in lower case, other URIs as they are.
// P1
fn matches_uri(matcher: &StringMatcher, uri: &str) -> bool {
    let Ok(id) = SpiffeId::parse(uri) else { return matches_text(matcher, uri) };
    if let (StringPattern::Exact(exact), false) = (&matcher.pattern, matcher.ignore_case) {
        return SpiffeId::parse(exact).is_ok_and(|exact| exact == id);
    }
    matcher.matches(id.as_str())
}

/// By the text of RFC 5952.
fn matches_address(matcher: &StringMatcher, address: &IpAddr) -> bool {
    match &matcher.pattern {
        StringPattern::Exact(exact) => exact.parse::<IpAddr>().is_ok_and(|exact| exact == *address),
        _ => matcher.matches(&address.to_string()),
    }
}

/// Whether the DNS name of a certificate covers a host: ASCII case and a final dot do not count, and `*.` stands for exactly one
/// label at the beginning.
// TLS-16, N3
pub(super) fn dns_covers(name: &str, host: &str) -> bool {
    let (name, host) = (name.strip_suffix('.').unwrap_or(name), host.strip_suffix('.').unwrap_or(host));
    if name.is_empty() || host.is_empty() {
        return false;
    }
    let Some(parent) = name.strip_prefix("*.") else {
        return !name.contains('*') && name.eq_ignore_ascii_case(host);
    };
    // A wildcard for a whole top-level domain, or two of them, never match.
    if parent.contains('*') || !parent.contains('.') {
        return false;
    }
    host.split_once('.').is_some_and(|(label, rest)| {
        !label.is_empty() && !label.contains('*') && rest.eq_ignore_ascii_case(parent)
    })
}
