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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::identity::ExpectedName;
    use crate::policy::matcher::FullRegex;

    fn names(list: &[&str]) -> SubjectNames {
        let mut names = SubjectNames::default();
        for name in list {
            match name.parse::<IpAddr>() {
                Ok(address) => names.addresses.push(address),
                Err(_) if name.contains("://") => names.uris.push((*name).to_owned()),
                Err(_) if name.contains('@') => names.emails.push((*name).to_owned()),
                Err(_) => names.dns.push((*name).to_owned()),
            }
        }
        names
    }

    fn exact(text: &str) -> StringPattern {
        StringPattern::Exact(text.to_owned())
    }

    /// Proves: TLS-16.
    #[test]
    fn names_of_each_kind_match_by_their_rules() {
        let regex = |text: &str| StringPattern::Regex(FullRegex::new(text).unwrap());
        let part = |make: fn(String) -> StringPattern, text: &str| make(text.to_owned());
        use StringPattern::{Contains, Prefix, Suffix};
        let rows = [
            (exact("a.example"), "a.example", true),
            (exact("A.example."), "a.EXAMPLE", true),
            (exact("a.example"), "a.example.", true),
            (exact("a.example"), "*.example.com", false),
            (exact("a.example.com"), "*.example.com", true),
            (exact("a.b.example.com"), "*.example.com", false),
            (exact("example.com"), "*.example.com", false),
            (exact(".example.com"), "*.example.com", false),
            (exact("ab.example.com"), "a*.example.com", false),
            (exact("a.b.example.com"), "*.*.example.com", false),
            (exact("a"), "*", false),
            (exact("a.com"), "*.com", false),
            (exact("*.example.com"), "*.example.com", false),
            (part(Prefix, "a."), "a.example", true),
            (part(Suffix, ".example"), "a.example", true),
            (part(Suffix, ".example"), "a.Example", false),
            (part(Contains, "exa"), "a.example", true),
            (regex("a[.].*"), "a.example", true),
            (regex("exa"), "a.example", false),
            (exact("spiffe://td/a"), "spiffe://td/a", true),
            (exact("spiffe://td/A"), "spiffe://td/a", false),
            // P1
            (exact("spiffe://td/Path"), "SPIFFE://TD/Path", true),
            (exact("spiffe://TD/Path"), "spiffe://td/Path", true),
            (part(Prefix, "spiffe://td/"), "SPIFFE://TD/Path", true),
            (part(Suffix, "/sa/cart"), "spiffe://td/ns/shop/sa/cart", true),
            (exact("https://A.example/x"), "https://a.example/x", false),
            (exact("10.0.0.1"), "10.0.0.1", true),
            (exact("2001:DB8:0::1"), "2001:db8::1", true),
            (part(Prefix, "2001:db8::"), "2001:db8::1", true),
            (exact("me@a.example"), "me@a.example", true),
            (exact("Me@a.example"), "me@a.example", false),
            (exact(""), "", false),
            (regex(".*"), "", false),
        ];
        for (pattern, name, matches) in rows {
            let matcher = StringMatcher { pattern, ignore_case: false };
            assert_eq!(
                any_matches(std::slice::from_ref(&matcher), &names(&[name])),
                matches,
                "{matcher:?} {name}"
            );
        }
        let ignoring = StringMatcher { pattern: exact("SPIFFE://TD/A"), ignore_case: true };
        assert!(any_matches(&[ignoring], &names(&["spiffe://td/a"])));
    }

    #[test]
    fn any_matcher_and_any_name_are_enough_and_no_name_never_is() {
        let matcher = |text| StringMatcher { pattern: exact(text), ignore_case: false };
        let both = [matcher("a.example"), matcher("b.example")];
        assert!(any_matches(&both, &names(&["x.example", "b.example"])));
        assert!(!any_matches(&both, &names(&["x.example"])));
        assert!(!any_matches(&both, &names(&[])));
    }

    /// N3 and N4.
    ///
    /// Proves: TLS-23.
    #[test]
    fn expected_name_must_be_in_the_certificate() {
        let rows: [(&str, &[&str], bool); 9] = [
            ("svc.example.", &["svc.example"], true),
            ("svc.example", &["svc.example."], true),
            ("a.svc.example", &["*.svc.example"], true),
            ("a.svc.example", &["svc.example", "spiffe://td/a"], false),
            ("10.0.0.1", &["10.0.0.1"], true),
            ("10.0.0.1", &["10.0.0.2", "10.0.0.1.example"], false),
            ("::1", &["0:0:0:0:0:0:0:1"], true),
            ("::1", &["localhost"], false),
            ("SVC.example", &["svc.EXAMPLE"], true),
        ];
        for (host, list, is_in) in rows {
            assert_eq!(ExpectedName::parse(host).is_in(&names(list)), is_in, "{host} {list:?}");
        }
    }
}
