//! Which calls have which faults.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use rand::SeedableRng;
use rand::rngs::StdRng;

use super::*;

const SECOND: Duration = Duration::from_secs(1);
const INTERNAL: AbortSource = AbortSource::Status(AbortStatus::Grpc(13));

fn delayed(source: DelaySource, percentage: Percentage) -> FaultPolicy {
    FaultPolicy { delay: Some(Delay { source, percentage }), ..FaultPolicy::default() }
}

fn aborted(source: AbortSource, percentage: Percentage) -> FaultPolicy {
    FaultPolicy { abort: Some(Abort { source, percentage }), ..FaultPolicy::default() }
}

fn headers(entries: &[(&'static str, &str)]) -> HeaderMap {
    let entry = |(name, value): &(&'static str, &str)| {
        (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap())
    };
    entries.iter().map(entry).collect()
}

/// How many of `calls` are delayed, aborted, and both.
fn counts(policy: &FaultPolicy, headers: &HeaderMap, calls: u32) -> [u32; 3] {
    let mut rng = StdRng::seed_from_u64(33);
    let mut counts = [0; 3];
    for _ in 0..calls {
        let Faults { delay, abort } = policy.decide(headers, &mut rng);
        let seen = [delay.is_some(), abort.is_some(), delay.is_some() && abort.is_some()];
        for (count, seen) in counts.iter_mut().zip(seen) {
            *count += u32::from(seen);
        }
    }
    counts
}

/// Shares of 20 % and 5 % that are drawn apart meet in 1 %. Bounds are five standard deviations.
///
/// Proves: HF-11.
#[test]
fn delay_and_abort_are_drawn_independently() {
    let fixed = DelaySource::Fixed(SECOND);
    let both = FaultPolicy {
        abort: aborted(INTERNAL, Percentage::of_ten_thousand(500)).abort,
        ..delayed(fixed, Percentage::of_hundred(20))
    };
    let rows: [(&str, FaultPolicy, [f64; 3]); 6] = [
        ("no percentage", delayed(fixed, Percentage::default()), [0.0, 0.0, 0.0]),
        ("always delayed", delayed(fixed, Percentage::ALL), [1.0, 0.0, 0.0]),
        ("more than always", aborted(INTERNAL, Percentage::of_hundred(300)), [0.0, 1.0, 0.0]),
        ("half", aborted(INTERNAL, Percentage::of_million(500_000)), [0.0, 0.5, 0.0]),
        ("both", both, [0.2, 0.05, 0.01]),
        ("for no time", delayed(DelaySource::Fixed(Duration::ZERO), Percentage::ALL), [0.0, 0.0, 0.0]),
    ];
    let calls = 100_000;
    for (row, policy, shares) in rows {
        for (found, share) in counts(&policy, &HeaderMap::new(), calls).into_iter().zip(shares) {
            let expected = f64::from(calls) * share;
            let bound = 5.0 * (expected * (1.0 - share)).sqrt();
            assert!((f64::from(found) - expected).abs() <= bound, "{row}: {found} of {expected}");
        }
    }
}

/// Proves: HF-12.
#[test]
fn headers_choose_the_fault_if_the_configuration_allows_it() {
    const DELAY: &str = "x-envoy-fault-delay-request";
    const DELAY_SHARE: &str = "x-envoy-fault-delay-request-percentage";
    const HTTP: &str = "x-envoy-fault-abort-request";
    const GRPC: &str = "x-envoy-fault-abort-grpc-request";
    const ABORT_SHARE: &str = "x-envoy-fault-abort-request-percentage";
    let policy = FaultPolicy {
        abort: aborted(AbortSource::Headers, Percentage::ALL).abort,
        ..delayed(DelaySource::Headers, Percentage::ALL)
    };
    let delay = |millis| Faults { delay: Some(Duration::from_millis(millis)), abort: None };
    let abort = |status| Faults { delay: None, abort: Some(status) };
    let unavailable = AbortStatus::Http(StatusCode::SERVICE_UNAVAILABLE);
    let none = Faults::default();
    let rows = [
        ("no header", vec![], none),
        ("a delay", vec![(DELAY, "53")], delay(53)),
        ("no delay", vec![(DELAY, "0")], none),
        ("not a number", vec![(DELAY, "1s")], none),
        ("negative", vec![(DELAY, "-5")], none),
        ("a share of nothing", vec![(DELAY, "53"), (DELAY_SHARE, "0")], none),
        ("more than configured", vec![(DELAY, "53"), (DELAY_SHARE, "400")], delay(53)),
        ("a bad share", vec![(DELAY, "53"), (DELAY_SHARE, "x")], delay(53)),
        ("an HTTP status", vec![(HTTP, "503")], abort(unavailable)),
        ("a gRPC code", vec![(GRPC, "3")], abort(AbortStatus::Grpc(3))),
        ("HTTP before gRPC", vec![(GRPC, "3"), (HTTP, "503")], abort(unavailable)),
        ("a bad HTTP status", vec![(GRPC, "3"), (HTTP, "x")], abort(AbortStatus::Grpc(3))),
        ("no HTTP error", vec![(HTTP, "199")], none),
        ("no HTTP status", vec![(HTTP, "600")], none),
        ("a share of no abort", vec![(HTTP, "503"), (ABORT_SHARE, "0")], none),
    ];
    for (row, entries, expected) in rows {
        let found = policy.decide(&headers(&entries), &mut StdRng::seed_from_u64(1));
        assert_eq!(found, expected, "{row}");
    }
    // the header sets the numerator, over the configured denominator
    let capped = aborted(AbortSource::Headers, Percentage::of_ten_thousand(5_000));
    let [_, tenth, _] = counts(&capped, &headers(&[(GRPC, "3"), (ABORT_SHARE, "1000")]), 100_000);
    assert!((9_400..10_600).contains(&tenth), "{tenth}");
    let [_, half, _] = counts(&capped, &headers(&[(GRPC, "3"), (ABORT_SHARE, "9000")]), 100_000);
    assert!((49_000..51_000).contains(&half), "{half}");
    let fixed = delayed(DelaySource::Fixed(SECOND), Percentage::ALL);
    let found = fixed
        .decide(&headers(&[(DELAY, "53"), (DELAY_SHARE, "0"), (GRPC, "3")]), &mut StdRng::seed_from_u64(1));
    assert_eq!(found, delay(1000), "a configured delay does not look at headers");
}

/// Proves: HF-15.
#[test]
fn faults_of_all_filters_count_and_each_filter_has_its_limit() {
    let active = Arc::new(ActiveFaults::default());
    let limit = |limit| Some(MaxActiveFaults(limit));
    let first = active.begin(None).unwrap();
    let second = active.begin(limit(2)).unwrap();
    assert!(active.begin(limit(2)).is_none(), "two are active");
    assert!(active.begin(limit(2)).is_none(), "a refused one does not count");
    assert!(active.begin(limit(0)).is_none());
    let third = active.begin(limit(3)).unwrap();
    drop((first, third));
    let again = active.begin(limit(2)).unwrap();
    assert!(active.begin(limit(2)).is_none());
    drop((second, again));
    assert!(active.begin(limit(1)).is_some());
}

#[test]
fn policy_that_cannot_fire_builds_no_filter() {
    let always = delayed(DelaySource::Fixed(SECOND), Percentage::ALL);
    let rows = [
        ("nothing", FaultPolicy::default(), false),
        ("never", aborted(INTERNAL, Percentage::of_hundred(0)), false),
        ("always", always.clone(), true),
        ("by headers", aborted(AbortSource::Headers, Percentage::of_hundred(1)), true),
        ("for no call", FaultPolicy { max_active_faults: Some(MaxActiveFaults(0)), ..always.clone() }, false),
        ("for one call", FaultPolicy { max_active_faults: Some(MaxActiveFaults(1)), ..always }, true),
    ];
    for (row, policy, expected) in rows {
        assert_eq!(policy.can_fire(), expected, "{row}");
    }
}

/// Each step sets its own part, and keeps those that were set before.
#[test]
fn policy_made_in_steps_has_every_part() {
    let delay = Delay { source: DelaySource::Fixed(SECOND), percentage: Percentage::of_hundred(1) };
    let abort = Abort { source: INTERNAL, percentage: Percentage::of_million(2) };
    let max = MaxActiveFaults(3);
    let whole = FaultPolicy { delay: Some(delay), abort: Some(abort), max_active_faults: Some(max) };
    let new = FaultPolicy::new;
    let orders = [
        new().with_delay(delay).with_abort(abort).with_max_active_faults(max),
        new().with_abort(abort).with_max_active_faults(max).with_delay(delay),
        new().with_max_active_faults(max).with_delay(delay).with_abort(abort),
    ];
    for (number, made) in orders.into_iter().enumerate() {
        assert_eq!(made, whole, "order {number}");
    }
}

/// Proves: HF-13.
#[test]
fn http_status_of_an_abort_is_from_200_to_599() {
    for (status, expected) in [
        (0, None),
        (199, None),
        (200, Some(StatusCode::OK)),
        (599, StatusCode::from_u16(599).ok()),
        (600, None),
        (u32::from(u16::MAX) + 1 + 200, None),
    ] {
        assert_eq!(AbortStatus::http(status), expected.map(AbortStatus::Http), "{status}");
    }
}

#[test]
fn percentage_is_a_share_of_its_denominator() {
    for (percentage, per_million) in [
        (Percentage::of_hundred(3), 30_000),
        (Percentage::of_ten_thousand(3), 300),
        (Percentage::of_million(3), 3),
        (Percentage::ALL, 1_000_000),
        (Percentage::of_hundred(u32::MAX), 1_000_000),
        (Percentage::default(), 0),
    ] {
        assert_eq!(percentage.capped_at(None).as_per_million(), per_million, "{percentage:?}");
        assert_eq!(percentage.is_zero(), per_million == 0, "{percentage:?}");
    }
    // HF-12: a header can lower the share, and not raise it
    assert_eq!(Percentage::of_hundred(3).capped_at(Some(2)).as_per_million(), 20_000);
    assert_eq!(Percentage::of_hundred(3).capped_at(Some(4)).as_per_million(), 30_000);
}

#[test]
fn call_has_no_fault_only_without_delay_and_abort() {
    let (delay, abort) = (Some(SECOND), Some(AbortStatus::Grpc(13)));
    assert!(Faults::default().is_none());
    for faults in [Faults { delay, abort: None }, Faults { delay: None, abort }, Faults { delay, abort }] {
        assert!(!faults.is_none(), "{faults:?}");
    }
}

/// A duration of zero is no delay, and takes no draw: the abort gets the first one.
#[test]
fn delay_of_zero_is_none() {
    let policy = FaultPolicy {
        delay: Some(Delay { source: DelaySource::Fixed(Duration::ZERO), percentage: Percentage::ALL }),
        ..aborted(INTERNAL, Percentage::of_hundred(50))
    };
    let only_abort = aborted(INTERNAL, Percentage::of_hundred(50));
    assert_eq!(counts(&policy, &HeaderMap::new(), 1_000), counts(&only_abort, &HeaderMap::new(), 1_000));
    assert_eq!(counts(&policy, &HeaderMap::new(), 1_000)[0], 0);
}
