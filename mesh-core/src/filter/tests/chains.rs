//! Order, overrides and sharing.

use futures_util::FutureExt;

use super::*;

/// What a chain of three filters does with each level saying something.
fn traced(
    host: &FilterOverrides,
    route: &FilterOverrides,
    cluster: Option<&FilterOverrides>,
) -> Option<String> {
    let config = with_filters(vec![
        FilterInstance::new("first", Trace("a")),
        FilterInstance::new("second", Trace("b")),
        FilterInstance::new("off", Trace("c")).disabled(),
    ]);
    let headers = HeaderMutations::new();
    let mut levels = vec![level(host, &headers), level(route, &headers)];
    levels.extend(cluster.map(|cluster| level(cluster, &headers)));
    let scope = FilterScope::default();
    let chain = ChainCompiler::new(&config, &scope).chain(&levels)?;
    let mut head = head(&[]);
    assert!(matches!(call(Some(chain)).on_request(&mut head, &mut rng()), Progress::Passed));
    Some(trace(&head.headers))
}

fn says(filter: &'static str, said: FilterOverride) -> FilterOverrides {
    FilterOverrides::new().with(filter, said)
}

/// Proves: HF-01, HF-03, HF-05, LDS-11, RDS-20.
#[test]
fn most_specific_level_decides_for_each_filter_by_its_name() {
    let none = FilterOverrides::new;
    let instead = |text| FilterOverride::config(Instead(text));
    let rows = [
        ("nothing", none(), none(), None, Some("a1 b1")),
        ("two of a type", says("first", instead("x")), none(), None, Some("x1 b1")),
        ("route before host", says("first", instead("x")), says("first", instead("y")), None, Some("y1 b1")),
        (
            "cluster before route",
            none(),
            says("second", instead("x")),
            Some(says("second", instead("y"))),
            Some("a1 y1"),
        ),
        ("a cluster that says nothing", none(), says("second", instead("x")), Some(none()), Some("a1 x1")),
        ("off", none(), says("first", FilterOverride::Disabled), None, Some("b1")),
        (
            "off for the host, on for the route",
            says("first", FilterOverride::Disabled),
            says("first", FilterOverride::Enabled),
            None,
            Some("a1 b1"),
        ),
        (
            "off for the cluster",
            says("first", instead("x")),
            none(),
            Some(says("first", FilterOverride::Disabled)),
            Some("b1"),
        ),
        ("switched on", says("off", FilterOverride::Enabled), none(), None, Some("a1 b1 c1")),
        ("switched on by an override", none(), says("off", instead("x")), None, Some("a1 b1 x1")),
        ("an unknown name", none(), says("other", instead("x")), None, Some("a1 b1")),
        ("nothing to do", says("first", instead("")), says("second", instead("")), None, None),
    ];
    for (row, host, route, cluster, expected) in rows {
        assert_eq!(traced(&host, &route, cluster.as_ref()).as_deref(), expected, "{row}");
    }
}

fn three() -> CallFilters {
    let filters = ["a", "b", "c"].map(|text| FilterInstance::new(text, Trace(text)));
    let config = with_filters(filters.into());
    let scope = FilterScope::default();
    let (filters, headers) = (FilterOverrides::new(), HeaderMutations::new());
    call(ChainCompiler::new(&config, &scope).chain(&[level(&filters, &headers)]))
}

/// Each filter sees what it kept of the call at the stage before.
///
/// Proves: HF-04.
#[test]
fn requests_pass_in_order_and_responses_in_reverse() {
    let (mut call, mut request, mut response) = (three(), head(&[]), response_head());
    let mut trailers = HeaderMap::new();
    assert!(matches!(call.on_request(&mut request, &mut rng()), Progress::Passed));
    call.on_response(&mut response, &mut rng());
    call.on_trailers(&mut trailers, &mut rng());
    assert_eq!(trace(&request.headers), "a1 b1 c1");
    assert_eq!(trace(&response.headers), "c2 b2 a2");
    assert_eq!(trace(&trailers), "c3 b3 a3");
}

#[test]
fn only_filters_before_the_one_that_replies_see_its_reply() {
    let (mut call, mut request, mut response) = (three(), head(&[("x-stop", "b")]), response_head());
    let Progress::Reply(reply) = call.on_request(&mut request, &mut rng()) else { panic!("no reply") };
    assert_eq!(&*reply.message, "b");
    call.on_response(&mut response, &mut rng());
    assert_eq!((trace(&request.headers), trace(&response.headers)), ("a1".to_owned(), "a2".to_owned()));
}

#[test]
fn waiting_request_continues_with_next_filter() {
    let (mut call, mut request, mut response) = (three(), head(&[("x-wait", "b")]), response_head());
    let Progress::Wait(until) = call.on_request(&mut request, &mut rng()) else { panic!("no wait") };
    let resume = until.now_or_never().unwrap();
    assert!(matches!(call.resume(resume, &mut request, &mut rng()), Progress::Passed));
    assert_eq!(request.headers["x-waited"], "yes");
    assert_eq!(trace(&request.headers), "a1 c1");
    call.on_response(&mut response, &mut rng());
    assert_eq!(trace(&response.headers), "c2 b1 a2");

    let (mut call, mut request) = (three(), head(&[("x-wait", "b")]));
    assert!(matches!(call.on_request(&mut request, &mut rng()), Progress::Wait(_)));
    let reply = Resume::Reply(LocalReply::grpc(7, "no"));
    assert!(matches!(call.resume(reply, &mut request, &mut rng()), Progress::Reply(_)));
}

/// A filter that may protect something is not left out because its override is of another type.
#[test]
fn filter_that_cannot_be_made_fails_its_calls() {
    let config = with_filters(vec![FilterInstance::new("guard", Trace("a"))]);
    let (scope, headers) = (FilterScope::default(), HeaderMutations::new());
    let wrong = says("guard", FilterOverride::config(7_u8));
    let mut call = call(ChainCompiler::new(&config, &scope).chain(&[level(&wrong, &headers)]));
    let Progress::Reply(reply) = call.on_request(&mut head(&[]), &mut rng()) else { panic!("passed") };
    assert_eq!(reply.status, LocalStatus::Http(StatusCode::SERVICE_UNAVAILABLE));
    assert!(reply.message.contains("\"guard\"") && reply.message.contains("Instead"), "{}", reply.message);
}

#[test]
fn routes_with_equal_filters_share_a_chain() {
    let config = with_filters(vec![FilterInstance::new("f", Trace("a"))]);
    let (scope, headers) = (FilterScope::default(), HeaderMutations::new());
    let (none, other) = (FilterOverrides::new(), says("g", FilterOverride::Disabled));
    let own = says("f", FilterOverride::config(Instead("x")));
    let mut compiler = ChainCompiler::new(&config, &scope);
    let mut chain = |route| compiler.chain(&[level(&none, &headers), level(route, &headers)]).unwrap();
    let first = chain(&none);
    assert!(Arc::ptr_eq(&first, &chain(&other)));
    assert!(!Arc::ptr_eq(&first, &chain(&own)));
    assert!(Arc::ptr_eq(&chain(&own), &chain(&own)));
}

#[test]
fn without_filters_there_is_no_chain() {
    let config = with_filters(Vec::new());
    let (scope, filters, headers) = (FilterScope::default(), FilterOverrides::new(), HeaderMutations::new());
    assert!(ChainCompiler::new(&config, &scope).chain(&[level(&filters, &headers)]).is_none());
}

#[test]
fn equal_filter_configurations_compare_equal() {
    let instance = |text| FilterInstance::new("f", Trace(text));
    assert_eq!(instance("a"), instance("a"));
    assert_ne!(instance("a"), instance("b"));
    assert_ne!(instance("a"), instance("a").disabled());
    let said = |value: u32| {
        FilterOverrides::new().with("b", FilterOverride::config(value)).with("a", FilterOverride::Enabled)
    };
    let reverse =
        FilterOverrides::new().with("a", FilterOverride::Enabled).with("b", FilterOverride::config(1_u32));
    assert_eq!(said(1), reverse);
    assert_ne!(said(2), reverse);
    let of_another_type = FilterOverride::config(1_u64);
    assert_ne!(FilterOverride::config(1_u32), of_another_type);
}
