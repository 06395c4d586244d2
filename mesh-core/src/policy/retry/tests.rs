use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderValue};
use rand::SeedableRng;
use rand::rngs::SmallRng;

use super::attempts::settings;
use super::{Attempts, Cause, Failure, MaxAttempts, Pushback, RetryBudget, Transparent};
use crate::config::{RetryBackoff, RetryPolicy, RetryableCodes};
use crate::policy::backoff::Backoff;

const UNAVAILABLE: u32 = 14;
const NOT_FOUND: u32 = 5;

fn policy(max_attempts: u32) -> Arc<RetryPolicy> {
    let backoff = RetryBackoff { initial: Duration::from_millis(100), max: Duration::from_millis(350) };
    let attempts = NonZeroU32::new(max_attempts).unwrap();
    Arc::new(RetryPolicy::new(RetryableCodes::UNAVAILABLE, attempts).with_backoff(backoff))
}

fn rng() -> SmallRng {
    SmallRng::seed_from_u64(7)
}

fn fail(
    attempts: &mut Attempts,
    code: u32,
    pushback: Option<Pushback>,
    rng: &mut SmallRng,
) -> Option<Duration> {
    attempts.on_failure(Duration::ZERO, &Failure { code, pushback, cause: Cause::Local }, rng)
}

fn attempts_made(mut attempts: Attempts) -> u32 {
    let mut rng = rng();
    let mut made = 1;
    while fail(&mut attempts, UNAVAILABLE, None, &mut rng).is_some() {
        made += 1;
    }
    made
}

fn within(wait: Duration, nominal_ms: u64) -> bool {
    let nominal = Duration::from_millis(nominal_ms);
    wait >= nominal.mul_f64(0.8) && wait <= nominal.mul_f64(1.2)
}

/// What is configured is `num_retries` + 1.
///
/// Proves: RT-40.
#[test]
fn attempts_and_waits_are_those_of_the_policy_up_to_the_clients_cap() {
    let cap = |cap| MaxAttempts(NonZeroU32::new(cap).unwrap());
    assert_eq!(attempts_made(Attempts::new(policy(3), MaxAttempts::default())), 3);
    assert_eq!(attempts_made(Attempts::new(policy(9), MaxAttempts::default())), 5, "RT-40: 5 by default");
    assert_eq!(attempts_made(Attempts::new(policy(9), cap(7))), 7);
    assert_eq!(attempts_made(Attempts::new(policy(1), cap(7))), 1);
    let mut backoff = Backoff::default();
    for nominal in [25, 50, 100, 200, 250, 250] {
        assert!(within(backoff.next(&settings(RetryBackoff::default()), &mut rng()), nominal));
    }
}

#[test]
fn only_retryable_codes_lead_to_another_attempt() {
    let mut attempts = Attempts::new(policy(3), MaxAttempts::default());
    assert_eq!(fail(&mut attempts, NOT_FOUND, None, &mut rng()), None);
    assert_eq!(attempts.previous(), 0);
    assert!(fail(&mut attempts, UNAVAILABLE, None, &mut rng()).is_some());
    assert_eq!(attempts.previous(), 1);
}

/// Proves: RT-41.
#[test]
fn waits_double_up_to_the_maximum_with_a_fifth_of_jitter() {
    let mut rng = rng();
    let mut beyond_the_maximum = false;
    for _ in 0..200 {
        let mut backoff = Backoff::default();
        for nominal in [100, 200, 350, 350] {
            let wait = backoff.next(&settings(policy(2).backoff), &mut rng);
            assert!(within(wait, nominal), "{wait:?} for {nominal} ms");
            beyond_the_maximum |= wait > Duration::from_millis(350);
        }
    }
    assert!(beyond_the_maximum);
}

/// C45.
///
/// Proves: RT-42.
#[test]
fn pushback_sets_the_wait_and_restarts_the_backoff() {
    let mut rng = rng();
    let mut attempts = Attempts::new(policy(5), MaxAttempts::default());
    let exact = Duration::from_millis(1234);
    assert!(within(fail(&mut attempts, UNAVAILABLE, None, &mut rng).unwrap(), 100));
    assert!(within(fail(&mut attempts, UNAVAILABLE, None, &mut rng).unwrap(), 200));
    assert_eq!(fail(&mut attempts, UNAVAILABLE, Some(Pushback::After(exact)), &mut rng), Some(exact));
    assert!(within(fail(&mut attempts, UNAVAILABLE, None, &mut rng).unwrap(), 100));
    assert_eq!(fail(&mut attempts, UNAVAILABLE, Some(Pushback::After(exact)), &mut rng), None, "5 attempts");

    let mut attempts = Attempts::new(policy(5), MaxAttempts::default());
    assert_eq!(fail(&mut attempts, UNAVAILABLE, Some(Pushback::Never), &mut rng), None);

    let after = |ms| Some(Pushback::After(Duration::from_millis(ms)));
    let rows: [(&[&str], Option<Pushback>); 14] = [
        (&[], None),
        (&["0"], after(0)),
        (&["250"], after(250)),
        (&["-1"], Some(Pushback::Never)),
        (&["soon"], Some(Pushback::Never)),
        (&[""], Some(Pushback::Never)),
        (&["99999999999"], Some(Pushback::Never)),
        (&["-5"], Some(Pushback::Never)),
        (&["1.5"], Some(Pushback::Never)),
        (&["0200"], Some(Pushback::Never)),
        (&["+2"], Some(Pushback::Never)),
        (&["2147483648"], Some(Pushback::Never)),
        (&["2147483647"], after(2_147_483_647)),
        (&["1", "2"], Some(Pushback::Never)),
    ];
    for (values, expected) in rows {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append("grpc-retry-pushback-ms", HeaderValue::from_static(value));
        }
        assert_eq!(Pushback::from_headers(&headers), expected, "{values:?}");
    }
}

#[test]
fn unsent_calls_are_repeated_always_and_refused_ones_once() {
    let mut transparent = Transparent::default();
    assert!(transparent.on_refused());
    assert!(!transparent.on_refused());
    assert!(transparent.on_unsent() && transparent.on_unsent());
}

#[test]
fn budget_allows_a_fifth_of_active_calls_and_at_least_three() {
    let budget = RetryBudget::default();
    let rows = [
        (0, 0, true),
        (1, 2, true),
        (1, 3, false),
        (15, 3, false),
        (20, 3, true),
        (20, 4, false),
        (1000, 199, true),
        (1000, 200, false),
        (u32::MAX, 0, true),
    ];
    for (active, retrying, allowed) in rows {
        assert_eq!(budget.allows(active, retrying), allowed, "{retrying} of {active}");
    }
}
