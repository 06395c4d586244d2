//! Header mutations of filters and of routes: which levels, in which order.

use super::*;
use crate::config::{AppendAction, HeaderMutation, MutationOrder};

/// Sets `x-last` of requests, and adds to `x-trace` of requests, responses and trailers.
fn mutations(text: &'static str) -> HeaderMutations {
    let set = |name, action| {
        HeaderMutation::set(HeaderName::from_static(name), HeaderValue::from_static(text), action).unwrap()
    };
    let trace = || set("x-trace", AppendAction::AppendIfExistsOrAdd);
    HeaderMutations::new()
        .request(set("x-last", AppendAction::OverwriteIfExistsOrAdd))
        .request(trace())
        .response(trace())
        .trailers(trace())
}

fn adds(text: &'static str) -> FilterOverrides {
    FilterOverrides::new().with("m", FilterOverride::config(HeaderMutationOverride(mutations(text))))
}

/// The trace of a call through all stages, and the value that was set last.
fn run(config: &MeshConfig, levels: &[Level<'_>]) -> (String, String) {
    let scope = FilterScope::default();
    let mut call = call(ChainCompiler::new(config, &scope).chain(levels));
    let (mut request, mut response, mut trailers) = (head(&[]), response_head(), HeaderMap::new());
    assert!(matches!(call.on_request(&mut request, &mut rng()), Progress::Passed));
    call.on_response(&mut response, &mut rng());
    call.on_trailers(&mut trailers, &mut rng());
    assert_eq!(trace(&response.headers), trace(&trailers));
    let last = request.headers["x-last"].to_str().unwrap().to_owned();
    (trace(&request.headers), last)
}

/// Proves: HF-46.
#[test]
fn mutations_of_all_levels_follow_those_of_the_filter() {
    let (host, route, cluster) = (adds("host"), adds("route"), adds("cluster"));
    let none = HeaderMutations::new();
    let levels = [level(&host, &none), level(&route, &none), level(&cluster, &none)];
    let rows = [
        (MutationOrder::MostSpecificFirst, ("filter cluster route host", "host")),
        (MutationOrder::MostSpecificLast, ("filter host route cluster", "cluster")),
    ];
    for (order, (expected, last)) in rows {
        let config = HeaderMutationConfig { mutations: mutations("filter"), order };
        let config = with_filters(vec![FilterInstance::new("m", config)]);
        assert_eq!(run(&config, &levels), (expected.to_owned(), last.to_owned()), "{order:?}");
    }
}

/// Proves: RT-66.
#[test]
fn headers_of_routes_change_after_the_filters_in_the_configured_order() {
    let filters = FilterOverrides::new();
    let (host, route, cluster) = (mutations("host"), mutations("route"), mutations("cluster"));
    let levels = [level(&filters, &host), level(&filters, &route), level(&filters, &cluster)];
    let rows = [
        (MutationOrder::MostSpecificFirst, ("filter cluster route host config", "config")),
        (MutationOrder::MostSpecificLast, ("filter config host route cluster", "cluster")),
    ];
    for (order, (expected, last)) in rows {
        let filter = HeaderMutationConfig { mutations: mutations("filter"), ..Default::default() };
        let config = with_filters(vec![FilterInstance::new("m", filter)]);
        let config = config.with_headers(mutations("config"), order);
        let scope = FilterScope::default();
        let mut call = call(ChainCompiler::new(&config, &scope).chain(&levels));
        let (mut request, mut response) = (head(&[]), response_head());
        assert!(matches!(call.on_request(&mut request, &mut rng()), Progress::Passed));
        call.on_response(&mut response, &mut rng());
        assert_eq!(trace(&request.headers), expected, "{order:?}");
        assert_eq!(request.headers["x-last"], last, "{order:?}");
        // as the last of the chain, it is the first to see the response
        let (first, rest) = expected.split_once(' ').unwrap();
        assert_eq!(trace(&response.headers), format!("{rest} {first}"), "{order:?}");
    }
}

#[test]
fn route_without_changes_has_no_chain() {
    let config = with_filters(vec![FilterInstance::new("m", HeaderMutationConfig::default())]);
    let (scope, filters, headers) = (FilterScope::default(), FilterOverrides::new(), HeaderMutations::new());
    assert!(ChainCompiler::new(&config, &scope).chain(&[level(&filters, &headers)]).is_none());
}
