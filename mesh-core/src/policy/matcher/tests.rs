//! Conformance tables of the matchers.

use http::{HeaderMap, HeaderName, HeaderValue};
use rand::SeedableRng;
use rand::rngs::StdRng;

use super::*;

fn regex(pattern: &str) -> FullRegex {
    FullRegex::new(pattern).unwrap()
}

#[test]
fn string_matchers_follow_their_pattern_and_case() {
    use StringPattern::{Contains, Exact, Prefix, Regex, Suffix};
    let text = |pattern: fn(String) -> StringPattern, text: &str| pattern(text.to_owned());
    let table = [
        // pattern, ignore case, text, matches
        (text(Exact, "Abc"), false, "Abc", true),
        (text(Exact, "Abc"), false, "abc", false),
        (text(Exact, "Abc"), true, "aBC", true),
        (text(Exact, "Abc"), true, "abcd", false),
        (text(Exact, ""), false, "", true),
        (text(Exact, ""), false, "a", false),
        (text(Prefix, "Ab"), false, "Abc", true),
        (text(Prefix, "Ab"), false, "abc", false),
        (text(Prefix, "Ab"), true, "aBc", true),
        (text(Prefix, "Ab"), true, "a", false),
        (text(Suffix, "bC"), false, "abC", true),
        (text(Suffix, "bC"), false, "abc", false),
        (text(Suffix, "bC"), true, "aBc", true),
        (text(Suffix, "bC"), true, "c", false),
        (text(Contains, "B"), false, "aBc", true),
        (text(Contains, "B"), false, "abc", false),
        (text(Contains, "bC"), true, "aBcd", true),
        (text(Contains, "bC"), true, "ab", false),
        (text(Contains, ""), true, "", true),
        (text(Suffix, "\u{e9}"), true, "ab\u{e9}", true),
        (text(Prefix, "ab"), true, "a\u{e9}", false),
        (Regex(regex("a+b")), false, "aab", true),
        (Regex(regex("a+b")), true, "AAB", false),
        (Regex(regex("(?i)a+b")), false, "AAB", true),
    ];
    for (pattern, ignore_case, text, matches) in table {
        let matcher = StringMatcher { pattern, ignore_case };
        assert_eq!(matcher.matches(text), matches, "{matcher:?} on {text:?}");
    }
}

/// Proves: RV-07.
#[test]
fn regular_expressions_match_the_entire_text() {
    let table = [
        ("a", "a", true),
        ("a", "ab", false),
        ("a", "ba", false),
        ("a|b", "a", true),
        ("a|b", "ab", false),
        ("", "", true),
        ("", "a", false),
        ("a$", "a\n", false),
        ("(?m)a", "a\nb", false),
        (r"\d{2,3}", "123", true),
        (r"\d{2,3}", "1234", false),
        (".*", "any thing", true),
    ];
    for (pattern, text, matches) in table {
        assert_eq!(regex(pattern).matches(text), matches, "{pattern:?} on {text:?}");
    }
    for pattern in ["a)|(b", "(", "[", "(?=a)", r"(a)\1", "*"] {
        assert!(FullRegex::new(pattern).is_err(), "{pattern:?} compiles");
    }
}

/// Proves: SEC-06.
#[test]
fn regular_expressions_are_linear_and_limited_in_size() {
    let evil = regex("(a|a)*(a+)+b");
    assert!(!evil.matches(&"a".repeat(100_000)));
    let error = FullRegex::new("(a{1000}){1000}").unwrap_err();
    assert!(error.to_string().contains("(a{1000}){1000}"), "{error}");
}

/// Proves: RT-09.
#[test]
fn path_matchers_ignore_case_only_if_configured_and_never_in_expressions() {
    let exact = |path: &str, ignore_case| PathMatcher::Exact { path: path.to_owned(), ignore_case };
    let prefix = |path: &str, ignore_case| PathMatcher::Prefix { prefix: path.to_owned(), ignore_case };
    let table = [
        (exact("/pkg.Svc/Get", false), "/pkg.Svc/Get", true),
        (exact("/pkg.Svc/Get", false), "/pkg.svc/Get", false),
        (exact("/pkg.Svc/Get", true), "/PKG.svc/get", true),
        (exact("/pkg.Svc/Get", true), "/pkg.Svc/Get2", false),
        (prefix("/pkg.Svc/", false), "/pkg.Svc/Get", true),
        (prefix("/pkg.Svc/", false), "/pkg.svc/Get", false),
        (prefix("/pkg.Svc/", true), "/PKG.SVC/Get", true),
        (prefix("/pkg.Svc/", true), "/pkg.Svc", false),
        (prefix("", false), "/any", true),
        (prefix("", true), "/any", true),
        (PathMatcher::Regex(regex("/pkg.Svc/.*")), "/pkg.Svc/Get", true),
        (PathMatcher::Regex(regex("/pkg.Svc/.*")), "/pkg.svc/Get", false),
        (PathMatcher::Regex(regex("/pkg.Svc")), "/pkg.Svc/Get", false),
    ];
    for (matcher, path, matches) in table {
        assert_eq!(matcher.matches(path), matches, "{matcher:?} on {path:?}");
    }
}

/// The headers that every row of the header tables is matched against.
fn headers() -> HeaderMap {
    let rows: [(&str, &[u8]); 12] = [
        ("x-one", b"one"),
        ("x-many", b"a"),
        ("x-many", b"b"),
        ("x-many", b"c"),
        ("x-number", b"-7"),
        ("x-raw", b"a\xff"),
        ("x-data-bin", b"AAAA"),
        ("te", b"trailers"),
        ("user-agent", b"me"),
        ("grpc-timeout", b"1S"),
        ("grpc-previous-rpc-attempts", b"1"),
        ("x-empty", b""),
    ];
    let mut headers = HeaderMap::new();
    for (name, value) in rows {
        headers.append(HeaderName::from_static(name), HeaderValue::from_bytes(value).unwrap());
    }
    headers
}

fn check(rows: impl IntoIterator<Item = (&'static str, HeaderRule, bool, bool)>) {
    let headers = headers();
    for (name, rule, invert, matches) in rows {
        let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
        let matcher = HeaderMatcher::new(name, rule).with_invert(invert);
        assert_eq!(matcher.matches(HeaderView::Grpc(&headers)), matches, "{matcher:?}");
    }
}

fn exact(text: &str) -> HeaderRule {
    HeaderRule::Value(StringMatcher { pattern: StringPattern::Exact(text.to_owned()), ignore_case: false })
}

/// Proves: RT-10.
#[test]
fn header_values_are_joined_by_commas_and_names_have_no_case() {
    check([
        ("x-one", exact("one"), false, true),
        ("X-ONE", exact("one"), false, true),
        ("x-one", exact("One"), false, false),
        ("x-many", exact("a,b,c"), false, true),
        ("x-many", exact("a"), false, false),
        ("x-many", exact("a"), true, true),
        ("x-empty", exact(""), false, true),
        ("x-raw", exact("a"), false, false),
        ("x-raw", exact("a\u{ff}"), false, false),
    ]);
}

/// Proves: RT-11.
#[test]
fn binary_headers_are_absent() {
    check([
        ("x-data-bin", exact("AAAA"), false, false),
        ("x-data-bin", exact("AAAA"), true, false),
        ("x-data-bin", HeaderRule::Present(true), false, false),
        ("x-data-bin", HeaderRule::Present(false), false, true),
    ]);
}

/// Proves: RT-12.
#[test]
fn transport_headers_are_invisible_but_the_content_type_is_there() {
    check([
        ("content-type", exact("application/grpc"), false, true),
        ("content-type", HeaderRule::Present(true), false, true),
        ("te", HeaderRule::Present(true), false, false),
        ("user-agent", exact("me"), false, false),
        ("grpc-timeout", HeaderRule::Present(true), false, false),
        ("grpc-previous-rpc-attempts", exact("1"), false, false),
    ]);
    assert!(HeaderName::from_bytes(b":path").is_err());
    let mut headers = HeaderMap::new();
    headers.insert("content-type", HeaderValue::from_static("application/grpc+proto"));
    let seen = HeaderView::Grpc(&headers).value(&http::header::CONTENT_TYPE);
    assert_eq!(seen.as_deref(), Some("application/grpc+proto"));
}

/// Proves: RT-13.
#[test]
fn missing_headers_match_only_where_presence_equals_inversion() {
    let any = StringMatcher { pattern: StringPattern::Prefix(String::new()), ignore_case: true };
    check([
        ("x-none", exact("one"), false, false),
        ("x-none", exact("one"), true, false),
        ("x-none", HeaderRule::Value(any.clone()), false, false),
        ("x-none", HeaderRule::Value(any), true, false),
        ("x-none", HeaderRule::Range(0..10), false, false),
        ("x-none", HeaderRule::Range(0..10), true, false),
        ("x-none", HeaderRule::Present(true), false, false),
        ("x-none", HeaderRule::Present(true), true, true),
        ("x-none", HeaderRule::Present(false), false, true),
        ("x-none", HeaderRule::Present(false), true, false),
        ("x-one", HeaderRule::Present(true), false, true),
        ("x-one", HeaderRule::Present(true), true, false),
        ("x-one", HeaderRule::Present(false), false, false),
        ("x-one", HeaderRule::Present(false), true, true),
    ]);
}

/// Proves: RT-14.
#[test]
fn ranges_include_their_start_and_exclude_their_end() {
    check([
        ("x-number", HeaderRule::Range(-7..0), false, true),
        ("x-number", HeaderRule::Range(-10..-7), false, false),
        ("x-number", HeaderRule::Range(-10..-7), true, true),
        ("x-number", HeaderRule::Range(i64::MIN..i64::MAX), false, true),
        ("x-one", HeaderRule::Range(i64::MIN..i64::MAX), false, false),
        ("x-one", HeaderRule::Range(i64::MIN..i64::MAX), true, true),
        ("x-empty", HeaderRule::Range(0..1), false, false),
    ]);
}

/// Proves: RT-08.
#[test]
fn fraction_zero_never_matches_and_one_always_does() {
    let mut rng = StdRng::seed_from_u64(8);
    for _ in 0..100_000 {
        assert!(!Fraction::per_million(0).draw(&mut rng));
        assert!(Fraction::ALL.draw(&mut rng));
        assert!(Fraction::per_million(u32::MAX).draw(&mut rng));
    }
    let third = (0..300_000).filter(|_| Fraction::per_million(333_333).draw(&mut rng)).count();
    assert!((99_000..101_000).contains(&third), "{third}");
}

/// Proves: RT-15.
#[test]
fn missing_headers_count_as_empty_only_if_configured() {
    let headers = headers();
    let rows = [
        ("x-absent", exact(""), false, true),
        ("x-absent", exact("a"), false, false),
        ("x-absent", exact("a"), true, true),
        ("x-absent", HeaderRule::Range(0..1), false, false),
        ("x-absent", HeaderRule::Present(true), false, false),
        ("x-absent", HeaderRule::Present(false), false, true),
        ("x-one", exact(""), false, false),
    ];
    for (name, rule, invert, expected) in rows {
        let missing = HeaderCondition::from(rule.clone()).with_invert(invert);
        let empty = missing.clone().with_missing_as_empty(true);
        let matches = |condition| {
            HeaderMatcher::new(HeaderName::from_static(name), condition).matches(HeaderView::Grpc(&headers))
        };
        assert_eq!(matches(empty), expected, "{rule:?}");
        let is_present = matches!(rule, HeaderRule::Present(_));
        assert_eq!(matches(missing), expected && is_present, "{rule:?}");
    }
}
