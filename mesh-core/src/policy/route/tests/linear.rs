//! The table and a linear scan give the same answers and draw the same numbers.

use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue};
use proptest::prelude::*;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::config::{DomainPattern, Forward, Route, RouteAction, RouteMatch, VirtualHost};
use crate::policy::explain::{Mismatch, explain};
use crate::policy::matcher::{
    Fraction, FullRegex, HeaderMatcher, HeaderRule, HeaderView, PathMatcher, StringMatcher, StringPattern,
};
use crate::policy::route::{NoMatch, RequestHead, RouteIndex, RouteTable};

/// What RT-01 and RT-06 say, word for word.
fn scan(
    hosts: &[Arc<VirtualHost>],
    head: &RequestHead<'_>,
    rng: &mut dyn Rng,
) -> Result<RouteIndex, NoMatch> {
    let authority = head.authority.to_ascii_lowercase();
    let fits = |pattern: &DomainPattern| match pattern {
        DomainPattern::Exact(name) => (authority == *name).then_some((3, 0)),
        DomainPattern::Suffix(suffix) => (authority.len() > suffix.len()
            && authority.ends_with(suffix.as_str()))
        .then_some((2, suffix.len())),
        DomainPattern::Prefix(prefix) => (authority.len() > prefix.len()
            && authority.starts_with(prefix.as_str()))
        .then_some((1, prefix.len())),
        DomainPattern::Any => Some((0, 0)),
    };
    let mut best: Option<((u8, usize), usize)> = None;
    for (position, host) in hosts.iter().enumerate() {
        if let Some(fit) = host.domains.iter().filter_map(fits).max()
            && best.is_none_or(|(earlier, _)| fit > earlier)
        {
            best = Some((fit, position));
        }
    }
    let (_, host) = best.ok_or(NoMatch::VirtualHost)?;
    let takes = |route: &Arc<Route>, rng: &mut dyn Rng| {
        let RouteMatch { path, headers, fraction, .. } = &route.matches;
        path.matches(head.path)
            && headers.iter().all(|header| header.matches(head.headers))
            && fraction.is_none_or(|fraction| fraction.draw(rng))
    };
    let route = hosts[host].routes.iter().position(|route| takes(route, rng)).ok_or(NoMatch::Route)?;
    Ok(RouteIndex { host, route })
}

fn path() -> impl Strategy<Value = PathMatcher> {
    let text = || "/?[abA]{0,2}/?[abA]{0,2}";
    prop_oneof![
        3 => (text(), any::<bool>()).prop_map(|(path, ignore_case)| PathMatcher::Exact { path, ignore_case }),
        3 => (text(), any::<bool>()).prop_map(|(prefix, ignore_case)| PathMatcher::Prefix { prefix, ignore_case }),
        2 => ("/[abA]{1,2}", any::<bool>()).prop_map(|(prefix, ignore_case)| PathMatcher::SeparatedPrefix { prefix, ignore_case }),
        1 => "/[ab]{1,2}(\\*|\\+)".prop_map(|pattern| PathMatcher::Regex(FullRegex::new(&pattern).unwrap())),
        1 => Just(PathMatcher::Regex(FullRegex::new(".*").unwrap())),
    ]
}

fn header() -> impl Strategy<Value = HeaderMatcher> {
    let value = prop_oneof![
        "[ab]".prop_map(|text| {
            HeaderRule::Value(StringMatcher { pattern: StringPattern::Exact(text), ignore_case: false })
        }),
        any::<bool>().prop_map(HeaderRule::Present),
    ];
    (prop_oneof!["x-a", "x-b"], value, any::<bool>()).prop_map(|(name, rule, invert)| {
        let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
        HeaderMatcher::new(name, rule).with_invert(invert)
    })
}

fn route() -> impl Strategy<Value = Arc<Route>> {
    let fraction = prop::option::weighted(0.3, prop_oneof![Just(0), Just(1_000_000), 0..1_000_000_u32]);
    (path(), prop::collection::vec(header(), 0..2), fraction).prop_map(|(path, headers, fraction)| {
        let fraction = fraction.map(Fraction::per_million);
        let matches = RouteMatch { headers, fraction, ..RouteMatch::new(path) };
        Arc::new(Route::new(matches, RouteAction::Forward(Forward::to("c"))))
    })
}

fn host() -> impl Strategy<Value = Arc<VirtualHost>> {
    let domain = prop_oneof![
        3 => "[abA.]{1,3}",
        2 => "\\*[abA.]{1,2}",
        2 => "[abA.]{1,2}\\*",
        1 => Just("*".to_owned()),
    ];
    let domains = prop::collection::vec(domain.prop_map(|text| DomainPattern::parse(&text).unwrap()), 1..3);
    (domains, prop::collection::vec(route(), 0..12))
        .prop_map(|(domains, routes)| Arc::new(VirtualHost::new("", domains, routes)))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// RT-01, RT-06, RT-07 for any table.
    #[test]
    fn table_equals_a_linear_scan(
        hosts in prop::collection::vec(host(), 0..6),
        authorities in prop::collection::vec("[abA.]{0,4}", 4),
        paths in prop::collection::vec("/?[abA]{0,2}/?[abA]{0,2}", 6),
        header in prop::option::of("[ab]"),
        seed in any::<u64>(),
    ) {
        let table = RouteTable::new(&hosts);
        let mut headers = HeaderMap::new();
        if let Some(value) = header {
            headers.insert("x-a", HeaderValue::from_str(&value).unwrap());
        }
        let (mut rng, mut scanning) = (StdRng::seed_from_u64(seed), StdRng::seed_from_u64(seed));
        for authority in &authorities {
            for path in &paths {
                let head = RequestHead { authority, path, query: None, headers: HeaderView::Grpc(&headers) };
                prop_assert_eq!(table.select(&head, &mut rng), scan(&hosts, &head, &mut scanning));
            }
        }
        prop_assert_eq!(rng.next_u64(), scanning.next_u64(), "not the same number of draws");
    }

    /// The explanation is what a call meets, whatever it draws.
    #[test]
    fn explanation_has_the_route_that_the_table_chooses(
        hosts in prop::collection::vec(host(), 0..6),
        authorities in prop::collection::vec("[abA.]{0,4}", 4),
        paths in prop::collection::vec("/?[abA]{0,2}/?[abA]{0,2}", 6),
        header in prop::option::of("[ab]"),
        seed in any::<u64>(),
    ) {
        let table = RouteTable::new(&hosts);
        let mut headers = HeaderMap::new();
        if let Some(value) = header {
            headers.insert("x-a", HeaderValue::from_str(&value).unwrap());
        }
        let mut rng = StdRng::seed_from_u64(seed);
        for authority in &authorities {
            for path in &paths {
                let head = RequestHead { authority, path, query: None, headers: HeaderView::Grpc(&headers) };
                let found = explain(&hosts, authority, path, head.headers);
                let shares = found.passed_over.iter().filter(|one| matches!(one.mismatch, Mismatch::Share(_)));
                let possible: Vec<Option<usize>> =
                    shares.map(|one| Some(one.route)).chain([found.route]).collect();
                match table.select(&head, &mut rng) {
                    Err(NoMatch::VirtualHost) => prop_assert_eq!(found.host, None),
                    Err(NoMatch::Route) => prop_assert!(found.host.is_some() && possible.contains(&None)),
                    Ok(index) => {
                        prop_assert_eq!(found.host, Some(index.host));
                        prop_assert!(possible.contains(&Some(index.route)), "{possible:?}, {index:?}");
                    }
                }
                // Every route before the chosen one has a reason.
                let routes = found.host.map_or(0, |host| hosts[host].routes.len());
                prop_assert_eq!(found.passed_over.len(), found.route.unwrap_or(routes));
            }
        }
    }
}

/// Ten thousand routes over one path that differ in a header, every second one by a prefix of that path: the two lists
/// have to be merged at each step.
#[test]
fn many_routes_over_one_path_are_merged_in_order() {
    let path = |position: usize| match position % 2 {
        0 => PathMatcher::Exact { path: "/pkg.Svc/Get".to_owned(), ignore_case: false },
        _ => PathMatcher::Prefix { prefix: "/pkg.Svc/".to_owned(), ignore_case: false },
    };
    let matches = |position: usize| RouteMatch {
        headers: vec![HeaderMatcher::new(
            HeaderName::from_static("x-user"),
            HeaderRule::Value(StringMatcher {
                pattern: StringPattern::Exact(position.to_string()),
                ignore_case: false,
            }),
        )],
        ..RouteMatch::new(path(position))
    };
    let route = |position| Arc::new(Route::new(matches(position), RouteAction::Forward(Forward::to("c"))));
    let host = VirtualHost::new("", vec![DomainPattern::Any], (0..10_000).map(route).collect());
    let table = RouteTable::new(&[Arc::new(host)]);
    let mut rng = StdRng::seed_from_u64(0);
    for position in [0, 1, 4_999, 9_998, 9_999] {
        let mut headers = HeaderMap::new();
        headers.insert("x-user", HeaderValue::from_str(&position.to_string()).unwrap());
        let head = RequestHead {
            authority: "",
            path: "/pkg.Svc/Get",
            query: None,
            headers: HeaderView::Grpc(&headers),
        };
        assert_eq!(table.select(&head, &mut rng), Ok(RouteIndex { host: 0, route: position }));
    }
}
