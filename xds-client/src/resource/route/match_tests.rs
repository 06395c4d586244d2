//! Paths, headers and fractions.

use http::HeaderName;
use mesh_core::config::{Route, RouteMatch};
use mesh_core::policy::matcher::{
    Fraction, FullRegex, HeaderMatcher, HeaderRule, PathMatcher, QueryMatcher, StringMatcher, StringPattern,
};
use xds_proto::envoy::config::core::v3::{RuntimeFractionalPercent, TypedExtensionConfig};
use xds_proto::envoy::config::route::v3::header_matcher::HeaderMatchSpecifier as Header;
use xds_proto::envoy::config::route::v3::query_parameter_matcher::QueryParameterMatchSpecifier as Query;
use xds_proto::envoy::config::route::v3::route_match::{
    ConnectMatcher, GrpcRouteMatchOptions, PathSpecifier, TlsContextMatchOptions,
};
use xds_proto::envoy::config::route::v3::{
    HeaderMatcher as ProtoHeader, QueryParameterMatcher, RouteConfiguration as Config,
    RouteMatch as ProtoMatch,
};
use xds_proto::envoy::r#type::matcher::v3::string_matcher::MatchPattern;
use xds_proto::envoy::r#type::matcher::v3::{MetadataMatcher, StringMatcher as ProtoString};
use xds_proto::envoy::r#type::v3::{FractionalPercent, Int64Range};
use xds_proto::xds::core::v3::TypedExtensionConfig as XdsExtension;

use super::samples::{regex, simple};
use super::*;
use crate::resource::testing::{OK, Row, bool_value, check, decode};

fn matches(config: &mut Config) -> &mut ProtoMatch {
    config.virtual_hosts[0].routes[0].r#match.as_mut().unwrap()
}

/// The routes after a change of the only one's match.
fn decoded(change: impl FnOnce(&mut ProtoMatch)) -> Vec<Arc<Route>> {
    let mut config = simple();
    change(matches(&mut config));
    let config =
        decode::<RouteConfiguration>(&RouteConfigurationType, &DecodeContext::default(), &config).unwrap();
    config.virtual_hosts[0].routes.clone()
}

fn one(change: impl FnOnce(&mut ProtoMatch)) -> RouteMatch {
    decoded(change).first().unwrap().matches.clone()
}

fn header(name: &str, invert_match: bool, specifier: Option<Header>) -> Vec<ProtoHeader> {
    let name = name.to_owned();
    vec![ProtoHeader { name, invert_match, header_match_specifier: specifier, ..Default::default() }]
}

fn string(pattern: Option<MatchPattern>) -> Vec<ProtoHeader> {
    header("x", false, Some(Header::StringMatch(ProtoString { match_pattern: pattern, ignore_case: false })))
}

const PATHS: &[Row<Config>] = &[
    (
        "RDS-04 no match",
        |m| m.virtual_hosts[0].routes[0].r#match = None,
        Err(("virtual_hosts[0].routes[0].match", "must be set")),
    ),
    (
        "RDS-05 unset",
        |m| matches(m).path_specifier = None,
        Err(("virtual_hosts[0].routes[0].match", "expected prefix, path or safe_regex")),
    ),
    (
        "RDS-05 connect",
        |m| matches(m).path_specifier = Some(PathSpecifier::ConnectMatcher(ConnectMatcher {})),
        Err(("virtual_hosts[0].routes[0].match.connect_matcher", "is not supported")),
    ),
    (
        "RDS-05 separated",
        |m| matches(m).path_specifier = Some(PathSpecifier::PathSeparatedPrefix("/a/".into())),
        Err((
            "virtual_hosts[0].routes[0].match.path_separated_prefix",
            "expected a path without ?, # and a / at its end",
        )),
    ),
    (
        "RDS-05 policy",
        |m| {
            matches(m).path_specifier = Some(PathSpecifier::PathMatchPolicy(TypedExtensionConfig::default()));
        },
        Err(("virtual_hosts[0].routes[0].match.path_match_policy", "is not supported")),
    ),
    (
        "RDS-05 bad regex",
        |m| matches(m).path_specifier = Some(PathSpecifier::SafeRegex(regex("("))),
        Err(("virtual_hosts[0].routes[0].match.safe_regex.regex", "regular expression \"(\"")),
    ),
    (
        "RV-07 through the anchors",
        |m| matches(m).path_specifier = Some(PathSpecifier::SafeRegex(regex("a)|(b"))),
        Err(("virtual_hosts[0].routes[0].match.safe_regex.regex", "regular expression \"a)|(b\"")),
    ),
    (
        "RV-07 not RE2",
        |m| matches(m).path_specifier = Some(PathSpecifier::SafeRegex(regex("(?=a)"))),
        Err(("virtual_hosts[0].routes[0].match.safe_regex.regex", "regular expression")),
    ),
    (
        "SEC-06 too large",
        |m| matches(m).path_specifier = Some(PathSpecifier::SafeRegex(regex("(.{1000}){1000}"))),
        Err(("virtual_hosts[0].routes[0].match.safe_regex.regex", "size limit")),
    ),
];

/// Proves: RDS-04, RDS-05, RDS-07, RV-07.
#[test]
fn paths() {
    check(&RouteConfigurationType, &simple(), PATHS);
    let path = |specifier, sensitive: Option<bool>| {
        one(|m| {
            m.path_specifier = Some(specifier);
            m.case_sensitive = sensitive.and_then(bool_value);
        })
        .path
    };
    let prefix = |prefix: &str, ignore_case| PathMatcher::Prefix { prefix: prefix.into(), ignore_case };
    assert_eq!(path(PathSpecifier::Prefix(String::new()), None), prefix("", false));
    assert_eq!(path(PathSpecifier::Prefix("/a".into()), Some(false)), prefix("/a", true));
    let exact = PathMatcher::Exact { path: "/a".into(), ignore_case: false };
    assert_eq!(path(PathSpecifier::Path("/a".into()), Some(true)), exact);
    let PathMatcher::Regex(whole) = path(PathSpecifier::SafeRegex(regex("a|b")), None) else {
        panic!("a regex")
    };
    assert!(whole.matches("b") && !whole.matches("ab") && !whole.matches("xa"));
    let separated = PathMatcher::SeparatedPrefix { prefix: "/a".into(), ignore_case: true };
    assert_eq!(path(PathSpecifier::PathSeparatedPrefix("/a".into()), Some(false)), separated);
    assert!(one(|m| m.grpc = Some(GrpcRouteMatchOptions::default())).grpc_only);
    let ignored = one(|m| {
        m.tls_context = Some(TlsContextMatchOptions::default());
        m.dynamic_metadata = vec![MetadataMatcher::default()];
    });
    assert_eq!(ignored, one(|_| {}));
}

/// Proves: RDS-06.
#[test]
fn query_parameters_skip_the_route() {
    let query = || vec![QueryParameterMatcher::default()];
    assert_eq!(decoded(|m| m.query_parameters = query()), []);
}

/// gRPC's clients never take these routes: mesh-core's `route_takes_requests_whose_first_parameters_match`.
#[test]
fn query_parameters_are_read_and_their_mistakes_skip_the_route() {
    let named = |name: &str, specifier| QueryParameterMatcher {
        name: name.to_owned(),
        query_parameter_match_specifier: specifier,
    };
    let string = |pattern| Query::StringMatch(ProtoString { match_pattern: pattern, ignore_case: true });
    let exact = |text: &str| Some(string(Some(MatchPattern::Exact(text.to_owned()))));
    let read = one(|m| m.query_parameters = vec![named("a", exact("1")), named("b", None)]);
    let value = StringMatcher { pattern: StringPattern::Exact("1".to_owned()), ignore_case: true };
    assert_eq!(read.query_parameters, [QueryMatcher::new("a", Some(value)), QueryMatcher::new("b", None)]);
    for present in [true, false] {
        let read = one(|m| m.query_parameters = vec![named("a", Some(Query::PresentMatch(present)))]);
        assert_eq!(read.query_parameters, [QueryMatcher::new("a", None)]);
    }
    let mistakes = [
        vec![named("a", None), named("", None)],
        vec![named(&"a".repeat(1025), None)],
        vec![named("a", Some(string(None)))],
    ];
    for mistake in mistakes {
        assert_eq!(decoded(|m| m.query_parameters = mistake.clone()), [], "{mistake:?}");
    }
}

/// Proves: RV-06.
#[test]
fn string_matchers() {
    const FIELD: &str = "virtual_hosts[0].routes[0].match.headers[0].string_match";
    let rows = [
        ("exact", MatchPattern::Exact("a".into()), Ok(StringPattern::Exact("a".into()))),
        ("empty exact", MatchPattern::Exact(String::new()), Ok(StringPattern::Exact(String::new()))),
        ("prefix", MatchPattern::Prefix("a".into()), Ok(StringPattern::Prefix("a".into()))),
        ("suffix", MatchPattern::Suffix("a".into()), Ok(StringPattern::Suffix("a".into()))),
        ("contains", MatchPattern::Contains("a".into()), Ok(StringPattern::Contains("a".into()))),
        (
            "regex",
            MatchPattern::SafeRegex(regex("a+")),
            Ok(StringPattern::Regex(FullRegex::new("a+").unwrap())),
        ),
        ("empty prefix", MatchPattern::Prefix(String::new()), Err((".prefix", "must not be empty"))),
        ("empty suffix", MatchPattern::Suffix(String::new()), Err((".suffix", "must not be empty"))),
        ("empty contains", MatchPattern::Contains(String::new()), Err((".contains", "must not be empty"))),
        ("bad regex", MatchPattern::SafeRegex(regex("[")), Err((".safe_regex.regex", "regular expression"))),
        ("custom", MatchPattern::Custom(XdsExtension::default()), Err((".custom", "is not supported"))),
    ];
    for (row, pattern, expected) in rows {
        for ignore_case in [false, true] {
            let matcher = ProtoString { match_pattern: Some(pattern.clone()), ignore_case };
            let mut config = simple();
            matches(&mut config).headers = header("x", false, Some(Header::StringMatch(matcher)));
            let result =
                decode::<RouteConfiguration>(&RouteConfigurationType, &DecodeContext::default(), &config);
            match (result, &expected) {
                (Ok(config), Ok(pattern)) => {
                    let matcher = StringMatcher { pattern: pattern.clone(), ignore_case };
                    let rule = &config.virtual_hosts[0].routes[0].matches.headers[0].condition.rule;
                    assert_eq!(*rule, HeaderRule::Value(matcher), "{row}");
                }
                (Err(error), Err((field, reason))) => {
                    assert_eq!(error.field, format!("{FIELD}{field}"), "{row}");
                    assert!(error.reason.contains(reason), "{row}: {error}");
                }
                (result, expected) => panic!("{row}: {result:?}, expected {expected:?}"),
            }
        }
    }
    check(
        &RouteConfigurationType,
        &simple(),
        &[(
            "RV-06 unset",
            |m| matches(m).headers = string(None),
            Err(("virtual_hosts[0].routes[0].match.headers[0].string_match", "expected exact, prefix")),
        )],
    );
}

#[expect(deprecated, reason = "control planes still send the old specifiers")]
const HEADER_MATCHERS: &[Row<Config>] = &[
    (
        "RDS-08 bad regex",
        |m| matches(m).headers = header("x", false, Some(Header::SafeRegexMatch(regex("(")))),
        Err(("virtual_hosts[0].routes[0].match.headers[0].safe_regex_match.regex", "regular expression")),
    ),
    (
        "RDS-08 empty prefix",
        |m| matches(m).headers = header("x", false, Some(Header::PrefixMatch(String::new()))),
        Err(("virtual_hosts[0].routes[0].match.headers[0].prefix_match", "must not be empty")),
    ),
    (
        "RDS-08 empty suffix",
        |m| matches(m).headers = header("x", false, Some(Header::SuffixMatch(String::new()))),
        Err(("virtual_hosts[0].routes[0].match.headers[0].suffix_match", "must not be empty")),
    ),
    (
        "RDS-08 empty contains",
        |m| {
            matches(m).headers = header("x", false, Some(Header::ContainsMatch(String::new())));
        },
        Err(("virtual_hosts[0].routes[0].match.headers[0].contains_match", "must not be empty")),
    ),
    (
        "RDS-08 no name",
        |m| matches(m).headers = header("", false, None),
        Err(("virtual_hosts[0].routes[0].match.headers[0].name", "\"\" is not a header's name")),
    ),
    (
        "RDS-08 bad name",
        |m| matches(m).headers = header("a b", false, None),
        Err(("virtual_hosts[0].routes[0].match.headers[0].name", "\"a b\" is not a header's name")),
    ),
    (
        "RDS-08 a bad one on a pseudo-header",
        |m| {
            matches(m).headers = header(":path", false, Some(Header::PrefixMatch(String::new())));
        },
        Err(("virtual_hosts[0].routes[0].match.headers[0].prefix_match", "must not be empty")),
    ),
    ("good", |_| {}, OK),
];

/// Proves: RDS-08.
#[test]
#[expect(deprecated, reason = "control planes still send the old specifiers")]
fn header_matchers() {
    let value = |pattern| HeaderRule::Value(StringMatcher { pattern, ignore_case: false });
    let rows = [
        (Some(Header::ExactMatch(String::new())), value(StringPattern::Exact(String::new()))),
        (Some(Header::ExactMatch("a".into())), value(StringPattern::Exact("a".into()))),
        (Some(Header::SafeRegexMatch(regex("a"))), value(StringPattern::Regex(FullRegex::new("a").unwrap()))),
        (Some(Header::RangeMatch(Int64Range { start: -1, end: 9 })), HeaderRule::Range(-1..9)),
        (Some(Header::PresentMatch(true)), HeaderRule::Present(true)),
        (Some(Header::PresentMatch(false)), HeaderRule::Present(false)),
        (Some(Header::PrefixMatch("a".into())), value(StringPattern::Prefix("a".into()))),
        (Some(Header::SuffixMatch("a".into())), value(StringPattern::Suffix("a".into()))),
        (Some(Header::ContainsMatch("a".into())), value(StringPattern::Contains("a".into()))),
        // As in Envoy; also for unknown specifiers.
        (None, HeaderRule::Present(true)),
    ];
    for (specifier, rule) in rows {
        for invert in [false, true] {
            let found = one(|m| m.headers = header("X-User", invert, specifier.clone())).headers;
            let name = HeaderName::from_static("x-user");
            let expected = HeaderMatcher::new(name, rule.clone()).with_invert(invert);
            assert_eq!(found, [expected], "{specifier:?}");
        }
    }
    check(&RouteConfigurationType, &simple(), HEADER_MATCHERS);
}

/// Proves: RT-15.
#[test]
fn routes_can_take_missing_headers_as_empty_ones() {
    for (as_empty, expected) in [(false, false), (true, true)] {
        let exactly_empty =
            StringMatcher { pattern: StringPattern::Exact(String::new()), ignore_case: false };
        let specifier = Header::StringMatch(ProtoString {
            match_pattern: Some(MatchPattern::Exact(String::new())),
            ..Default::default()
        });
        let found = one(|m| {
            m.headers = header("x-user", false, Some(specifier));
            m.headers[0].treat_missing_header_as_empty = as_empty;
        });
        assert_eq!(found.headers[0].condition.rule, HeaderRule::Value(exactly_empty));
        assert_eq!(found.headers[0].condition.matches(None), expected);
    }
}

/// Pseudo-headers are not visible (RT-12), and a missing header matches only by its absence (RT-13).
#[test]
fn pseudo_headers_are_missing_headers() {
    let matched = |present, invert| !decoded(|m| m.headers = header(":method", invert, present)).is_empty();
    assert!(!matched(Some(Header::PresentMatch(true)), false));
    assert!(matched(Some(Header::PresentMatch(true)), true));
    assert!(matched(Some(Header::PresentMatch(false)), false));
    assert!(!matched(Some(Header::PresentMatch(false)), true));
    let method = || {
        Some(Header::StringMatch(ProtoString {
            match_pattern: Some(MatchPattern::Exact("GET".into())),
            ..Default::default()
        }))
    };
    assert!(!matched(method(), false));
    assert!(!matched(method(), true));
    let always = one(|m| m.headers = header(":scheme", false, Some(Header::PresentMatch(false))));
    assert_eq!(always.headers, []);
}

fn share(numerator: u32, denominator: i32) -> Option<RuntimeFractionalPercent> {
    let default_value = Some(FractionalPercent { numerator, denominator });
    Some(RuntimeFractionalPercent { default_value, runtime_key: "ignored".into() })
}

const FRACTIONS: &[Row<Config>] = &[
    (
        "RDS-09 denominator",
        |m| matches(m).runtime_fraction = share(1, 9),
        Err(("virtual_hosts[0].routes[0].match.runtime_fraction.default_value.denominator", "found 9")),
    ),
    (
        "RDS-09 no value",
        |m| matches(m).runtime_fraction = Some(RuntimeFractionalPercent::default()),
        Err(("virtual_hosts[0].routes[0].match.runtime_fraction.default_value", "must be set")),
    ),
];

/// Proves: RDS-09, RV-55.
#[test]
fn fractions_are_scaled_to_parts_per_million() {
    let rows = [
        (0, 0, 0),
        (1, 0, 10_000),
        (100, 0, 1_000_000),
        (250, 0, 1_000_000),
        (1, 1, 100),
        (10_000, 1, 1_000_000),
        (1, 2, 1),
        (1_000_001, 2, 1_000_000),
        (u32::MAX, 0, 1_000_000),
    ];
    for (numerator, denominator, per_million) in rows {
        let fraction = one(|m| m.runtime_fraction = share(numerator, denominator)).fraction;
        assert_eq!(fraction, Some(Fraction::per_million(per_million)), "{numerator} of {denominator}");
    }
    assert_eq!(one(|_| {}).fraction, None);
    check(&RouteConfigurationType, &simple(), FRACTIONS);
}
