//! Domains and routes, one row per rule.

use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue, Uri};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::config::{DomainPattern, Forward, Route, RouteAction, RouteMatch, VirtualHost};
use crate::policy::matcher::{
    Fraction, FullRegex, HeaderMatcher, HeaderRule, HeaderView, PathMatcher, StringMatcher, StringPattern,
};
use crate::policy::route::{NoMatch, RequestHead, RouteIndex, RouteTable};

fn host(domains: &[&str], routes: Vec<Arc<Route>>) -> Arc<VirtualHost> {
    let domains = domains.iter().map(|domain| DomainPattern::parse(domain).unwrap());
    Arc::new(VirtualHost::new("", domains.collect(), routes))
}

fn route(path: PathMatcher) -> RouteMatch {
    RouteMatch::new(path)
}

fn to_cluster(matches: RouteMatch) -> Arc<Route> {
    Arc::new(Route::new(matches, RouteAction::Forward(Forward::to("c"))))
}

fn exact(path: &str) -> PathMatcher {
    PathMatcher::Exact { path: path.to_owned(), ignore_case: false }
}

fn prefix(prefix: &str) -> PathMatcher {
    PathMatcher::Prefix { prefix: prefix.to_owned(), ignore_case: false }
}

fn ignoring_case(path: PathMatcher) -> PathMatcher {
    match path {
        PathMatcher::Exact { path, .. } => PathMatcher::Exact { path, ignore_case: true },
        PathMatcher::Prefix { prefix, .. } => PathMatcher::Prefix { prefix, ignore_case: true },
        PathMatcher::SeparatedPrefix { prefix, .. } => {
            PathMatcher::SeparatedPrefix { prefix, ignore_case: true }
        }
        PathMatcher::Regex(_) => path,
    }
}

fn regex(pattern: &str) -> PathMatcher {
    PathMatcher::Regex(FullRegex::new(pattern).unwrap())
}

fn with_header(mut matches: RouteMatch, name: &'static str, value: &str) -> RouteMatch {
    let pattern = StringPattern::Exact(value.to_owned());
    let rule = HeaderRule::Value(StringMatcher { pattern, ignore_case: false });
    matches.headers.push(HeaderMatcher::new(HeaderName::from_static(name), rule));
    matches
}

fn with_fraction(mut matches: RouteMatch, parts: u32) -> RouteMatch {
    matches.fraction = Some(Fraction::per_million(parts));
    matches
}

/// Proves: RT-01, RT-02, RT-03, RT-04.
#[test]
fn best_domain_wins() {
    let hosts: Vec<_> = [
        &["*"][..],
        &["foo.*"],
        &["foo.bar.*", "foo.bar.*"],
        &["*.com"],
        &["*.bar.com", "exact.bar.com"],
        &["*.BAR.com", "*"],
        &["foo.bar.com", "Exact.Bar.com"],
        &["foo.bar.com:8080"],
        &["foo.bar.*"],
    ]
    .into_iter()
    .map(|domains| host(domains, vec![to_cluster(route(prefix("")))]))
    .collect();
    let table = RouteTable::new(&hosts);
    let rows = [
        ("exact before all", "foo.bar.com", 6),
        ("exact with another case", "FOO.Bar.com", 6),
        ("a port counts", "foo.bar.com:8080", 7),
        ("an unknown port is another name", "foo.bar.com:9090", 2),
        ("the longest suffix", "x.bar.com", 4),
        ("a shorter suffix", "x.baz.com", 3),
        ("suffix before prefix", "foo.baz.com", 3),
        ("suffix with another case", "X.BAR.COM", 4),
        ("the longest prefix", "foo.bar.org", 2),
        ("a shorter prefix", "foo.org", 1),
        ("prefix with another case", "FOO.org", 1),
        ("any", "bar", 0),
        ("any takes what is empty", "", 0),
        ("equal exact names: the first", "exact.bar.com", 4),
        ("a suffix needs a character before it", ".bar.com", 3),
        ("a prefix needs a character after it", "foo.", 0),
    ];
    for (name, authority, expected) in rows {
        assert_eq!(table.find_host(authority), Some(expected), "{name}: {authority}");
    }
}

#[test]
fn missing_virtual_host_and_missing_route_are_different_errors() {
    let table = RouteTable::new(&[host(&["a"], vec![to_cluster(route(exact("/x")))]), host(&["b"], vec![])]);
    let headers = HeaderMap::new();
    let mut rng = StdRng::seed_from_u64(0);
    let mut select = |authority, path| {
        table.select(
            &RequestHead { authority, path, query: None, headers: HeaderView::Grpc(&headers) },
            &mut rng,
        )
    };
    assert_eq!(select("a", "/x"), Ok(RouteIndex { host: 0, route: 0 }));
    assert_eq!(select("a", "/y"), Err(NoMatch::Route));
    assert_eq!(select("b", "/x"), Err(NoMatch::Route));
    assert_eq!(select("c", "/x"), Err(NoMatch::VirtualHost));
    let empty = RouteTable::new(&[]);
    let head = RequestHead { authority: "a", path: "/", query: None, headers: HeaderView::Grpc(&headers) };
    assert_eq!(empty.select(&head, &mut rng), Err(NoMatch::VirtualHost));
    assert_eq!(empty.select_route(3, &head, &mut rng), None);
}

/// Proves: RT-06, RT-07, RT-09.
#[test]
fn first_route_that_matches_in_all_parts_wins() {
    let routes = [
        with_header(route(prefix("/")), "x-stage", "canary"),
        with_fraction(route(exact("/pkg.Svc/Never")), 0),
        route(regex("/pkg\\.Svc/Re.*")),
        route(prefix("/pkg.Svc/")),
        route(exact("/pkg.Svc/Get")),
        with_header(with_header(route(regex(".*")), "x-a", "1"), "x-b", "2"),
        with_fraction(route(exact("/other")), 1_000_000),
        route(ignoring_case(prefix("/LOUD"))),
        route(ignoring_case(exact("/Other"))),
        route(regex("/loud.*|/quiet")),
    ];
    let table = RouteTable::new(&[host(&["*"], routes.into_iter().map(to_cluster).collect())]);
    type Headers<'a> = &'a [(&'static str, &'static str)];
    let rows: [(&str, &str, Headers<'_>, Option<usize>); 14] = [
        ("an earlier prefix before an exact path", "/pkg.Svc/Get", &[], Some(3)),
        ("an earlier expression before a prefix", "/pkg.Svc/Read", &[], Some(2)),
        ("a header decides", "/pkg.Svc/Read", &[("x-stage", "canary")], Some(0)),
        ("a header with another value does not", "/pkg.Svc/Get", &[("x-stage", "prod")], Some(3)),
        ("a fraction of zero never matches", "/pkg.Svc/Never", &[], Some(3)),
        ("a full fraction always matches", "/other", &[], Some(6)),
        ("case counts where not told otherwise", "/OTHER", &[], Some(8)),
        ("a prefix without regard to case", "/Loudest", &[], Some(7)),
        ("an expression has a case", "/QUIET", &[], None),
        ("a later expression", "/quiet", &[], Some(9)),
        ("all headers must match", "/quiet", &[("x-a", "1")], Some(9)),
        ("all headers do match", "/quiet", &[("x-a", "1"), ("x-b", "2")], Some(5)),
        ("nothing matches", "/none", &[], None),
        ("an empty path", "", &[], None),
    ];
    for (name, path, pairs, expected) in rows {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, HeaderValue::from_static(value));
        }
        let head = RequestHead { authority: "any", path, query: None, headers: HeaderView::Grpc(&headers) };
        let found = table.select(&head, &mut StdRng::seed_from_u64(1));
        assert_eq!(found.ok().map(|found| found.route), expected, "{name}: {path}");
    }
}

/// RT-07: a route whose path or headers do not match draws nothing; one that is reached draws once.
#[test]
fn fraction_draws_once_and_last() {
    let routes = [
        with_fraction(with_header(route(prefix("/")), "x-none", ""), 500_000),
        with_fraction(route(exact("/elsewhere")), 500_000),
        with_fraction(route(prefix("/")), 0),
        route(prefix("/")),
        with_fraction(route(prefix("/")), 500_000),
    ];
    let table = RouteTable::new(&[host(&["*"], routes.into_iter().map(to_cluster).collect())]);
    let headers = HeaderMap::new();
    let head = RequestHead { authority: "", path: "/x", query: None, headers: HeaderView::Grpc(&headers) };
    let (mut rng, mut once) = (StdRng::seed_from_u64(5), StdRng::seed_from_u64(5));
    assert_eq!(table.select(&head, &mut rng).unwrap().route, 3);
    Fraction::per_million(0).draw(&mut once);
    assert_eq!(rng.next_u64(), once.next_u64());
}

/// Proves: RT-16.
#[test]
fn query_and_fragment_do_not_count() {
    let table = RouteTable::new(&[host(&["*"], vec![to_cluster(route(exact("/a")))])]);
    let headers = HeaderMap::new();
    for uri in ["http://h/a", "/a?b=c", "http://h/a?", "http://h/a#d", "/a?b#c"] {
        let uri: Uri = uri.parse().unwrap();
        let head = RequestHead::new("h", &uri, HeaderView::Grpc(&headers));
        assert!(table.select(&head, &mut StdRng::seed_from_u64(0)).is_ok(), "{uri}");
    }
}
