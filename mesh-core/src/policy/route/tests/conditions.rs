//! Conditions that only requests of HTTP meet: parameters of the query, gRPC's content type, whole segments of the path.

use std::sync::Arc;

use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Uri};
use rand::SeedableRng;
use rand::rngs::StdRng;

use crate::config::{DomainPattern, Forward, Route, RouteAction, RouteMatch, VirtualHost};
use crate::policy::matcher::{HeaderView, PathMatcher, QueryMatcher, StringMatcher, StringPattern};
use crate::policy::route::{RequestHead, RouteTable};

fn parameter(name: &str, pattern: Option<StringPattern>) -> QueryMatcher {
    QueryMatcher::new(name, pattern.map(|pattern| StringMatcher { pattern, ignore_case: false }))
}

/// A table of one route.
fn table(matches: RouteMatch) -> RouteTable {
    let route = Arc::new(Route::new(matches, RouteAction::Forward(Forward::to("c"))));
    RouteTable::new(&[Arc::new(VirtualHost::new("", vec![DomainPattern::Any], vec![route]))])
}

fn takes(table: &RouteTable, uri: &str, view: HeaderView<'_>) -> bool {
    let uri: Uri = uri.parse().unwrap();
    table.select(&RequestHead::new("h", &uri, view), &mut StdRng::seed_from_u64(0)).is_ok()
}

/// Proves: RT-17.
#[test]
fn route_takes_requests_whose_first_parameters_match() {
    let exact = |text: &str| Some(StringPattern::Exact(text.to_owned()));
    let prefix = |text: &str| Some(StringPattern::Prefix(text.to_owned()));
    let rows = [
        ("a value", vec![parameter("a", exact("1"))], "/x?a=1", true),
        ("another value", vec![parameter("a", exact("1"))], "/x?a=2", false),
        ("a prefix", vec![parameter("a", prefix("1"))], "/x?b&a=12", true),
        ("only the first of a name", vec![parameter("a", exact("2"))], "/x?a=1&a=2", false),
        ("another case", vec![parameter("a", None)], "/x?A=1", false),
        ("present, with a value", vec![parameter("a", None)], "/x?b=2&a=1", true),
        ("present, without one", vec![parameter("a", None)], "/x?a", true),
        ("an empty value", vec![parameter("a", exact(""))], "/x?a", true),
        ("a value with =", vec![parameter("a", exact("1=2"))], "/x?a=1=2", true),
        ("as on the wire", vec![parameter("a", exact("%31"))], "/x?a=%31", true),
        ("part of a name", vec![parameter("a", None)], "/x?ab=1", false),
        ("no query", vec![parameter("a", None)], "/x", false),
        ("both", vec![parameter("a", None), parameter("b", exact("2"))], "/x?b=2&a", true),
        ("one of two", vec![parameter("a", None), parameter("b", exact("2"))], "/x?a", false),
    ];
    let headers = HeaderMap::new();
    for (name, query_parameters, uri, expected) in rows {
        let table = table(RouteMatch { query_parameters, ..RouteMatch::any() });
        assert_eq!(takes(&table, uri, HeaderView::Response(&headers)), expected, "{name}");
        // RDS-06
        assert!(!takes(&table, uri, HeaderView::Grpc(&headers)), "{name}: a call of a gRPC client");
    }
}

/// Proves: RT-18.
#[test]
fn separated_prefix_takes_whole_segments() {
    let rows = [("/a", true), ("/a/", true), ("/a/b", true), ("/a?b", true), ("/ab", false), ("/", false)];
    let headers = HeaderMap::new();
    for (uri, expected) in rows {
        for view in [HeaderView::Response(&headers), HeaderView::Grpc(&headers)] {
            let prefix = PathMatcher::SeparatedPrefix { prefix: "/a".to_owned(), ignore_case: false };
            assert_eq!(takes(&table(RouteMatch::new(prefix)), uri, view), expected, "{uri}");
        }
    }
}

/// Proves: RT-19.
#[test]
fn route_for_grpc_takes_requests_with_its_content_type() {
    let rows = [
        (Some("application/grpc"), true),
        (Some("application/grpc+proto"), true),
        (Some("application/grpc-web"), false),
        (Some("application/grpc; charset=utf-8"), false),
        (Some("application/json"), false),
        (None, false),
    ];
    let table = table(RouteMatch { grpc_only: true, ..RouteMatch::any() });
    for (value, expected) in rows {
        let value = value.map(|value| (CONTENT_TYPE, HeaderValue::from_static(value)));
        let headers = HeaderMap::from_iter(value);
        assert_eq!(takes(&table, "/s/m", HeaderView::Response(&headers)), expected, "{headers:?}");
    }
    // RDS-07: every call of a gRPC client is gRPC, and gets its content type later
    assert!(takes(&table, "/s/m", HeaderView::Grpc(&HeaderMap::new())));
}
