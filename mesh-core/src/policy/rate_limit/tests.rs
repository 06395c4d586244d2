//! Rate limits on a clock of their own.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use governor::clock::FakeRelativeClock;
use governor::{Quota, RateLimiter as Governor};
use http::{HeaderMap, HeaderName, HeaderValue};
use proptest::prelude::*;

use super::*;
use crate::peer::{Peer, PeerIdentity, TlsPeer};
use crate::policy::matcher::{HeaderMatcher, HeaderRule, StringMatcher, StringPattern};

const SECOND: Duration = Duration::from_secs(1);

fn limit(max: u32, per_second: u32) -> TokenLimit {
    TokenLimit::new(max, per_second, SECOND).unwrap()
}

/// Buckets of their own for everything.
struct Fresh;

impl BucketSource for Fresh {
    fn bucket(&self, _: Option<&DescriptorLimit>) -> Arc<TokenBucket> {
        Arc::default()
    }

    fn per_value(&self, _: &DescriptorLimit, policy: &RateLimitPolicy) -> Arc<PerValue> {
        Arc::new(PerValue::new(policy))
    }
}

fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
    let pair = |(name, value): &(&str, &str)| {
        (HeaderName::try_from(*name).unwrap(), HeaderValue::from_str(value).unwrap())
    };
    pairs.iter().map(pair).collect()
}

fn view(headers: &HeaderMap) -> CallView<'_> {
    CallView { headers, cluster: "c", peer: None }
}

/// Whether calls with these headers pass, in this order, all at one moment.
fn passed<const N: usize>(policy: &RateLimitPolicy, calls: [&[(&str, &str)]; N]) -> [bool; N] {
    let limiter = RateLimiter::new(policy.clone(), &Fresh);
    calls.map(|call| limiter.check(view(&headers(call)), SECOND).refused_by.is_none())
}

#[test]
fn limit_without_refill_cannot_be_made() {
    assert_eq!(TokenLimit::new(1, 0, SECOND), Err(InvalidLimit));
    assert_eq!(TokenLimit::new(1, 1, Duration::ZERO), Err(InvalidLimit));
}

/// Proves: HF-38.
///
/// C54 of the cases: no remainder of a refill is dropped, whatever the number of threads.
#[test]
fn as_many_pass_as_the_bucket_has_and_gets() {
    for threads in [1, 16] {
        let (bucket, limit, clock) = (TokenBucket::default(), limit(300, 3000), AtomicU32::new(0));
        let run = || {
            // 5,000 calls a second for ten seconds
            let moments = std::iter::from_fn(|| Some(clock.fetch_add(1, Ordering::Relaxed)));
            let moments =
                moments.take_while(|call| *call < 50_000).map(|call| Duration::from_micros(200) * call);
            moments.filter(|now| bucket.take(*now, limit, 1).is_ok()).count()
        };
        let passed: usize = thread::scope(|scope| {
            let running: Vec<_> = (0..threads).map(|_| scope.spawn(run)).collect();
            running.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert!((30_000..=30_301).contains(&passed), "{threads} threads: {passed}");
    }
}

/// C54 of the cases.
#[test]
fn clock_that_steps_back_stops_no_refill() {
    let (bucket, limit) = (TokenBucket::default(), limit(2, 1));
    let late = Duration::from_secs(3600);
    assert!(bucket.take(late, limit, 2).is_ok());
    assert!(bucket.take(late, limit, 1).is_err());
    assert!(bucket.take(SECOND, limit, 1).is_err(), "no time has passed");
    assert!(bucket.take(2 * SECOND, limit, 1).is_ok(), "one second later there is one token");
    assert!(bucket.take(2 * SECOND, limit, 1).is_err());
}

#[test]
fn standing_tells_what_is_left_and_when_more_comes() {
    let (bucket, limit) = (TokenBucket::default(), limit(10, 2));
    let standing = bucket.take(SECOND, limit, 4).unwrap();
    assert_eq!((standing.max_tokens(), standing.remaining()), (10, 6));
    assert_eq!(standing.full_after(), Duration::from_secs(2));
    let refused = bucket.take(SECOND, limit, 8).unwrap_err();
    assert_eq!((refused.remaining(), refused.retry_after()), (6, SECOND));
    assert_eq!(bucket.take(SECOND, limit, 6).unwrap().remaining(), 0, "the refused call took nothing");
}

#[test]
fn extreme_limits_hold() {
    let bucket = TokenBucket::default();
    let nothing = limit(0, 1);
    assert!(bucket.take(SECOND, nothing, 1).is_err());
    let year = TokenLimit::new(u32::MAX, 1, Duration::from_secs(365 * 86_400)).unwrap();
    assert!(bucket.take(SECOND, year, u32::MAX).is_ok());
    assert!(bucket.take(Duration::MAX, year, 1).is_ok() || bucket.take(Duration::MAX, year, 1).is_err());
    let quick = TokenLimit::new(u32::MAX, u32::MAX, Duration::from_nanos(1)).unwrap();
    assert!(TokenBucket::default().take(Duration::ZERO, quick, u32::MAX).is_ok());
}

#[test]
fn new_limit_keeps_the_tokens_that_were_taken() {
    let bucket = TokenBucket::default();
    assert!(bucket.take(SECOND, limit(10, 1), 10).is_ok());
    assert!(bucket.take(SECOND, limit(20, 1), 11).is_err());
    assert!(bucket.take(SECOND, limit(20, 1), 10).is_ok(), "ten more than before");
    assert!(bucket.take(SECOND, limit(5, 1), 1).is_err());
    assert!(bucket.take(SECOND * 2, limit(5, 1), 1).is_ok(), "a smaller bucket is empty, not in debt");
}

proptest! {
    /// Equal to another implementation, for any limit and any calls.
    #[test]
    fn bucket_equals_the_governor_crate(
        period in 1_000_u64..2_000_000,
        burst in 1_u32..20,
        calls in prop::collection::vec((0_u64..5_000_000, 1_u32..25), 1..200),
    ) {
        let clock = FakeRelativeClock::default();
        let quota = Quota::with_period(Duration::from_nanos(period)).unwrap();
        let quota = quota.allow_burst(NonZeroU32::new(burst).unwrap());
        let governor = Governor::direct_with_clock(quota, clock.clone());
        let limit = TokenLimit::new(burst, 1, Duration::from_nanos(period)).unwrap();
        let (bucket, mut now) = (TokenBucket::default(), Duration::ZERO);
        for (pause, cost) in calls {
            let pause = Duration::from_nanos(pause);
            clock.advance(pause);
            now += pause;
            let theirs = matches!(governor.check_n(NonZeroU32::new(cost).unwrap()), Ok(Ok(())));
            prop_assert_eq!(bucket.take(now, limit, cost).is_ok(), theirs, "at {:?}", now);
        }
    }
}

fn header_rule(name: &'static str) -> DescriptorRule {
    let action = DescriptorAction::Header {
        name: HeaderName::from_static(name),
        key: name.into(),
        skip_if_absent: false,
    };
    DescriptorRule::new([action])
}

fn of(key: &str, value: Option<&str>, limit: TokenLimit) -> DescriptorLimit {
    DescriptorLimit::new([(key.into(), value.map(Into::into))], limit)
}

/// Proves: HF-39.
#[test]
fn descriptors_choose_buckets_and_the_default_one_counts_too() {
    let slow = limit(1, 1);
    let tenant = RateLimitPolicy::new("p", limit(3, 1))
        .with_limit(header_rule("x-tenant"), of("x-tenant", Some("a"), slow))
        .with_limit(header_rule("x-tenant"), of("x-tenant", None, limit(2, 1)));
    let (a, b, c): (&[_], &[_], &[_]) = (&[("x-tenant", "a")], &[("x-tenant", "b")], &[("x-tenant", "c")]);
    assert_eq!(passed(&tenant, [a, a, b, b]), [true, false, true, true], "the exact value has its own limit");
    assert_eq!(passed(&tenant, [b, c, b, c]), [true, true, true, false], "three of the default bucket");
    assert_eq!(
        passed(&tenant, [b, b, b, &[]]),
        [true, true, false, true],
        "one without a tenant has only that"
    );
    let apart = RateLimitPolicy { always_takes_default: false, ..tenant };
    assert_eq!(passed(&apart, [b, b, c, c]), [true; 4]);
    assert_eq!(passed(&apart, [&[], &[], &[], &[]]), [true, true, true, false]);
    let without = RateLimitPolicy { bucket: None, ..apart };
    assert_eq!(passed(&without, [&[], &[], a, a]), [true, true, true, false]);
}

#[test]
fn cost_is_taken_and_shadow_limits_only_count() {
    let rule = DescriptorRule { cost: 3, ..header_rule("k") };
    let policy = RateLimitPolicy::new("p", None).with_limit(rule, of("k", None, limit(5, 1)));
    let call: &[_] = &[("k", "v")];
    assert_eq!(passed(&policy, [call, call]), [true, false]);
    let mut shadow = policy;
    shadow.descriptors[0].shadow = true;
    let limiter = RateLimiter::new(shadow, &Fresh);
    let verdicts = [(); 2].map(|()| limiter.check(view(&headers(call)), SECOND));
    assert!(verdicts.iter().all(|verdict| verdict.refused_by.is_none()));
    assert_eq!(verdicts.map(|verdict| verdict.shadow.is_some()), [false, true]);
}

/// C56 of the cases.
#[test]
fn verdict_names_the_limit_that_refused_or_is_closest_to_its_end() {
    let minute = TokenLimit::new(60, 60, Duration::from_secs(60)).unwrap();
    let hour = TokenLimit::new(2, 2, Duration::from_secs(3600)).unwrap();
    let policy = RateLimitPolicy::new("p", minute).with_limit(header_rule("k"), of("k", None, hour));
    let limiter = RateLimiter::new(policy, &Fresh);
    let headers = headers(&[("k", "v")]);
    let first = limiter.check(view(&headers), SECOND).tightest.unwrap();
    assert_eq!((first.max_tokens(), first.remaining()), (2, 1));
    limiter.check(view(&headers), SECOND);
    let refused = limiter.check(view(&headers), SECOND).refused_by.unwrap();
    assert_eq!((refused.max_tokens(), refused.remaining()), (2, 0));
    assert_eq!(refused.full_after(), Duration::from_secs(3600));
    assert_eq!(refused.retry_after(), Duration::from_secs(1800));
}

/// An action, a call's headers and peer, and the entry.
type Row<'a> = (DescriptorAction, &'a [(&'a str, &'a str)], Option<&'a Peer>, Option<&'a str>);

/// Proves: HF-42.
#[test]
fn action_without_a_value_drops_its_descriptor() {
    let fixed = || DescriptorAction::Fixed { key: "generic_key".into(), value: "x".into() };
    let header = |skip_if_absent| DescriptorAction::Header {
        name: HeaderName::from_static("k"),
        key: "k".into(),
        skip_if_absent,
    };
    let matched = |expect_match| DescriptorAction::HeaderMatch {
        key: "header_match".into(),
        value: "x".into(),
        headers: vec![HeaderMatcher::new(
            HeaderName::from_static("k"),
            HeaderRule::Value(StringMatcher {
                pattern: StringPattern::Exact("v".into()),
                ignore_case: false,
            }),
        )],
        expect_match,
    };
    let masked = |v4| DescriptorAction::MaskedRemoteAddress { v4, v6: 64 };
    let uri = |skip_if_absent| DescriptorAction::PeerUri { key: "peer".into(), skip_if_absent };
    let identity = PeerIdentity::new().with_uri_san("spiffe://td/a");
    let peer = |ip: &str| {
        let address = |ip: &str| std::net::SocketAddr::new(ip.parse().unwrap(), 1);
        Peer::new(address(ip), address("127.0.0.1")).with_tls(TlsPeer::new().with_identity(identity.clone()))
    };
    let (v4, v6) = (peer("192.0.2.77"), peer("2001:db8:1:2:3::4"));
    let rows: [Row<'_>; 16] = [
        (fixed(), &[], None, Some("generic_key=x")),
        (header(false), &[("k", "v"), ("k", "w")], None, Some("k=v")),
        (header(false), &[], None, None),
        (header(true), &[], None, Some("")),
        (matched(true), &[("k", "v")], None, Some("header_match=x")),
        (matched(true), &[("k", "w")], None, None),
        (matched(false), &[], None, Some("header_match=x")),
        (DescriptorAction::DestinationCluster, &[], None, Some("destination_cluster=c")),
        (DescriptorAction::RemoteAddress, &[], None, None),
        (DescriptorAction::RemoteAddress, &[], Some(&v4), Some("remote_address=192.0.2.77")),
        (masked(24), &[], Some(&v4), Some("masked_remote_address=192.0.2.0/24")),
        (masked(0), &[], Some(&v4), Some("masked_remote_address=0.0.0.0/0")),
        (masked(24), &[], Some(&v6), Some("masked_remote_address=2001:db8:1:2::/64")),
        (uri(false), &[], Some(&v4), Some("peer=spiffe://td/a")),
        (uri(false), &[], None, None),
        (uri(true), &[], None, Some("")),
    ];
    for (action, given, peer, expected) in rows {
        // a second entry, so that a skipped one leaves something
        let rule = DescriptorRule::new([action.clone(), fixed()]);
        let given = headers(given);
        let descriptor = rule.describe(CallView { peer, ..view(&given) });
        let shown = descriptor.map(|entries| {
            let first = entries.iter().take(entries.len() - 1);
            first.map(|(key, value)| format!("{key}={}", String::from_utf8_lossy(value))).collect::<String>()
        });
        assert_eq!(shown.as_deref(), expected, "{action:?}");
    }
}

/// Proves: HF-39.
#[test]
fn values_are_forgotten_only_after_many_others() {
    for kept in [20, 4096] {
        let mut policy =
            RateLimitPolicy::new("p", None).with_limit(header_rule("k"), of("k", None, limit(1, 1)));
        policy.max_dynamic_buckets = NonZeroU32::new(kept).unwrap();
        let limiter = RateLimiter::new(policy.clone(), &Fresh);
        let passes = |value: &str| {
            let headers = headers(&[("k", value)]);
            limiter.check(view(&headers), SECOND).refused_by.is_none()
        };
        assert!(passes("first"));
        for other in 1..kept {
            assert!(passes(&other.to_string()));
        }
        assert!(!passes("first"), "it is one of the last {kept}");
        let buckets = per_value::PerValueBuckets::new(policy.max_dynamic_buckets);
        for value in 0..10 * kept {
            let taken = buckets.take(&value.to_le_bytes(), SECOND, limit(1, 1), 1);
            assert!(taken.is_ok());
        }
        assert!(buckets.len() <= 3 * kept as usize, "{}", buckets.len());
    }
}
