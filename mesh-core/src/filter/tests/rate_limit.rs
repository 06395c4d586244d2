//! Rate limits, on a clock that stands still.

use std::time::Duration;

use tokio::time::advance;

use super::*;
use crate::config::{AppendAction, HeaderMutation};
use crate::counters::CounterStore;
use crate::policy::matcher::Fraction;

fn limit(max: u32) -> TokenLimit {
    TokenLimit::new(max, 1, Duration::from_secs(1)).unwrap()
}

fn added(name: &'static str) -> Vec<HeaderMutation> {
    let (name, value) = (HeaderName::from_static(name), HeaderValue::from_static("1"));
    vec![HeaderMutation::set(name, value, AppendAction::AppendIfExistsOrAdd).unwrap()]
}

/// The way of a call under this policy, which two parts of the routes may override.
fn compiled(
    scope: &FilterScope,
    policy: &RateLimitPolicy,
    overrides: [Option<&RateLimitPolicy>; 2],
) -> [CallFilters; 2] {
    let config = with_filters(vec![FilterInstance::new("limit", policy.clone())]);
    let headers = HeaderMutations::new();
    let mut compiler = ChainCompiler::new(&config, scope);
    let filters = overrides.map(|policy| match policy {
        Some(policy) => FilterOverrides::new().with("limit", FilterOverride::config(policy.clone())),
        None => FilterOverrides::new(),
    });
    let [a, b] = &filters;
    [a, b].map(|filters| call(compiler.chain(&[Level { name: "host", filters, headers: &headers }])))
}

fn one(scope: &FilterScope, policy: &RateLimitPolicy) -> CallFilters {
    let [one, _] = compiled(scope, policy, [None, None]);
    one
}

/// A call that begins anew each time.
fn request(calls: &CallFilters) -> (Option<LocalReply>, request::Parts, CallFilters) {
    let mut call = calls.again();
    let mut head = head(&[]);
    match call.on_request(&mut head, &mut rng()) {
        Progress::Passed => (None, head, call),
        Progress::Reply(reply) => (Some(reply), head, call),
        Progress::Wait(_) => panic!("it does not wait"),
    }
}

fn passes(calls: &CallFilters) -> bool {
    request(calls).0.is_none()
}

/// Proves: HF-38.
#[tokio::test(start_paused = true)]
async fn calls_over_the_limit_get_the_configured_reply() {
    let mut policy = RateLimitPolicy::new("p", limit(2));
    let calls = one(&FilterScope::default(), &policy);
    assert!(passes(&calls) && passes(&calls));
    let reply = request(&calls).0.unwrap();
    assert_eq!(reply.status, LocalStatus::Http(StatusCode::TOO_MANY_REQUESTS));
    assert!(reply.message.contains("\"p\"") && reply.headers.is_empty(), "{reply:?}");
    advance(Duration::from_secs(1)).await;
    assert!(passes(&calls) && !passes(&calls));

    policy.refusal.is_resource_exhausted = true;
    policy.refusal.retry_after = true;
    policy.refusal.headers = added("x-limited");
    policy.shows_limits = true;
    policy.bucket = Some(TokenLimit::new(60, 1, Duration::from_secs(50)).unwrap());
    let calls = one(&FilterScope::default(), &policy);
    let (_, _, mut passed) = request(&calls);
    let mut head = response_head();
    passed.on_response(&mut head, &mut rng());
    let shown = |headers: &HeaderMap| {
        ["limit", "remaining", "reset"]
            .map(|name| headers[&format!("x-ratelimit-{name}")].to_str().unwrap().to_owned())
    };
    assert_eq!(shown(&head.headers), ["60", "59", "50"]);
    assert!((1..60).all(|_| passes(&calls)));
    let reply = request(&calls).0.unwrap();
    assert_eq!(reply.status, LocalStatus::Grpc(8));
    assert_eq!(shown(&reply.headers), ["60", "0", "3000"], "C56 of the cases");
    assert_eq!(
        (&reply.headers["retry-after"], &reply.headers["x-limited"]),
        (&"50".parse().unwrap(), &"1".parse().unwrap())
    );
}

/// Proves: HF-38.
#[tokio::test(start_paused = true)]
async fn limits_that_are_not_enforced_are_counted_and_told_to_the_endpoint() {
    let mut policy = RateLimitPolicy::new("p", limit(1));
    policy.enforced = Fraction::per_million(0);
    policy.request_headers_when_not_enforced = added("x-over");
    let store = Arc::new(CounterStore::default());
    let scope = FilterScope::new(store.clone());
    let calls = one(&scope, &policy);
    let over = [(); 3].map(|()| request(&calls).1.headers.contains_key("x-over"));
    assert_eq!(over, [false, true, true]);
    let enforced = one(&FilterScope::new(store.clone()), &RateLimitPolicy::new("q", limit(1)));
    assert!(passes(&enforced) && !passes(&enforced));
    let counted = store.values().into_iter().map(|counter| (counter.labels.join(" "), counter.value));
    let expected = [("p over_limit", 2), ("p passed", 1), ("q passed", 1), ("q refused", 1)];
    assert_eq!(counted.collect::<Vec<_>>(), expected.map(|(labels, value)| (labels.to_owned(), value)));

    let off = RateLimitPolicy { enabled: Fraction::per_million(0), ..RateLimitPolicy::new("p", limit(0)) };
    let config = with_filters(vec![FilterInstance::new("limit", off)]);
    let (filters, headers) = (FilterOverrides::new(), HeaderMutations::new());
    let chain = ChainCompiler::new(&config, &scope).chain(&[level(&filters, &headers)]);
    assert!(chain.is_none(), "a filter that looks at no call is left out");
}

/// Proves: HF-39.
#[tokio::test(start_paused = true)]
async fn parts_of_the_routes_have_buckets_of_their_own_which_updates_keep() {
    let scope = FilterScope::default();
    let (listener, own) = (RateLimitPolicy::new("p", limit(1)), RateLimitPolicy::new("p", limit(1)));
    let [a, b] = compiled(&scope, &listener, [None, Some(&own)]);
    assert!(passes(&a) && passes(&b));
    assert!(!passes(&a) && !passes(&b));
    let [c, d] = compiled(&scope, &listener, [Some(&own), Some(&own)]);
    assert!(!passes(&c), "the first override at the host goes on with the bucket of the one before");
    assert!(passes(&d), "another one at the same place has its own");
    let larger = RateLimitPolicy::new("p", limit(3));
    let calls = one(&scope, &larger);
    assert!(passes(&calls) && passes(&calls) && !passes(&calls), "one token was taken under the old limit");
}
