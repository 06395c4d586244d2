//! Which failures lead to another attempt, and after which wait the server wants it.

use std::num::NonZeroU32;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use rand::SeedableRng;
use rand::rngs::SmallRng;

use super::{Cause, Failure};
use crate::config::{
    RateLimitedBackoff, ResetFormat, ResetHeader, RetryConditions as On, RetryPolicy, RetryableCodes,
};
use crate::policy::matcher::{HeaderMatcher, HeaderRule};

fn policy(conditions: On) -> RetryPolicy {
    RetryPolicy::new(RetryableCodes::none(), NonZeroU32::new(2).unwrap()).with_conditions(conditions)
}

type Fields = &'static [(&'static str, &'static str)];

fn headers(fields: &[(&'static str, &'static str)]) -> HeaderMap {
    let field = |&(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value));
    fields.iter().map(field).collect()
}

fn is_retried(policy: &RetryPolicy, cause: Cause<'_>) -> bool {
    Failure { code: 2, pushback: None, cause }.is_retried_by(policy)
}

/// Proves: RT-50.
#[test]
fn statuses_meet_the_conditions_that_name_them() {
    let mut listed = policy(On::RETRIABLE_STATUS_CODES);
    listed.status_codes = vec![StatusCode::TOO_MANY_REQUESTS];
    let mut marked = policy(On::RETRIABLE_HEADERS);
    marked.response_headers =
        vec![HeaderMatcher::new(HeaderName::from_static("grpc-x"), HeaderRule::Present(true))];
    let rows: [(&RetryPolicy, &[u16]); 6] = [
        (&policy(On::SERVER_ERROR), &[500, 501, 502, 503, 504, 599]),
        (&policy(On::GATEWAY_ERROR), &[502, 503, 504]),
        (&policy(On::RETRIABLE_4XX), &[409]),
        (&listed, &[429]),
        (&policy(On::RESET.with(On::CONNECT_FAILURE).with(On::REFUSED_STREAM)), &[]),
        (&marked, &[]),
    ];
    for (policy, retried) in rows {
        for status in [200, 400, 404, 409, 429, 500, 501, 502, 503, 504, 599] {
            let status = StatusCode::from_u16(status).unwrap();
            let with =
                |fields: &[_]| is_retried(policy, Cause::Response { status, headers: &headers(fields) });
            assert_eq!(with(&[]), retried.contains(&status.as_u16()), "{policy:?} {status}");
            assert!(!with(&[("x-envoy-overloaded", "true")]));
            assert!(!with(&[("x-envoy-ratelimited", "true")]));
        }
    }
    let (status, found) = (StatusCode::OK, headers(&[("grpc-x", "1")]));
    assert!(is_retried(&marked, Cause::Response { status, headers: &found }));
    let limited = headers(&[("x-envoy-ratelimited", "true")]);
    assert!(is_retried(&policy(On::ENVOY_RATELIMITED), Cause::Response { status, headers: &limited }));
    assert!(!is_retried(&policy(On::ENVOY_RATELIMITED), Cause::Response { status, headers: &found }));
}

/// Proves: RT-50.
#[test]
fn attempts_without_a_response_meet_conditions_by_their_cause() {
    let no_response = [On::SERVER_ERROR, On::GATEWAY_ERROR, On::RESET];
    let rows: [(Cause<'_>, &[On]); 4] = [
        (Cause::Unreachable, &[On::CONNECT_FAILURE, On::RESET_BEFORE_REQUEST]),
        (Cause::Refused, &[On::REFUSED_STREAM]),
        (Cause::Reset, &[]),
        (Cause::PerTryTimeout, &[]),
    ];
    let all = [
        On::SERVER_ERROR,
        On::GATEWAY_ERROR,
        On::RESET,
        On::RESET_BEFORE_REQUEST,
        On::CONNECT_FAILURE,
        On::ENVOY_RATELIMITED,
        On::RETRIABLE_4XX,
        On::REFUSED_STREAM,
        On::RETRIABLE_STATUS_CODES,
        On::RETRIABLE_HEADERS,
    ];
    for (cause, more) in rows {
        for condition in all {
            let expected = no_response.contains(&condition) || more.contains(&condition);
            assert_eq!(is_retried(&policy(condition), cause), expected, "{cause:?} {condition:?}");
        }
    }
    assert!(!is_retried(&policy(On::SERVER_ERROR), Cause::Local));
    let codes = RetryPolicy::new(RetryableCodes::UNAVAILABLE, NonZeroU32::new(2).unwrap());
    let failure = |code| Failure { code, pushback: None, cause: Cause::Local };
    assert!(failure(14).is_retried_by(&codes) && !failure(2).is_retried_by(&codes));
}

/// Proves: RT-55.
#[test]
fn first_readable_reset_header_sets_the_wait_with_half_of_jitter() {
    let header = |name, format| ResetHeader { name: HeaderName::from_static(name), format };
    let backoff = RateLimitedBackoff::new(vec![
        header("retry-after", ResetFormat::Seconds),
        header("x-reset", ResetFormat::UnixTimestamp),
    ]);
    let now = Duration::from_secs(1_000_000);
    let rows: [(Fields, Option<u64>); 9] = [
        (&[("retry-after", "120"), ("x-reset", "1000001")], Some(120)),
        (&[("retry-after", "301"), ("x-reset", "1000010")], Some(10)),
        (&[("retry-after", "300")], Some(300)),
        (&[("retry-after", "soon"), ("x-reset", "1000300")], Some(300)),
        (&[("retry-after", "-1"), ("x-reset", "1000301")], None),
        (&[("retry-after", "1.5")], None),
        (&[("x-reset", "999999")], None),
        (&[("x-reset", "1000000")], Some(0)),
        (&[], None),
    ];
    let mut rng = SmallRng::seed_from_u64(55);
    for (fields, expected) in rows {
        let (status, headers) = (StatusCode::OK, headers(fields));
        let failure =
            Failure { code: 8, pushback: None, cause: Cause::Response { status, headers: &headers } };
        for _ in 0..50 {
            let wait = failure.rate_limited_wait(now, &backoff, &mut rng);
            let bounds = expected.map(Duration::from_secs).map(|wait| wait..=wait.mul_f64(1.5));
            match (wait, bounds) {
                (Some(wait), Some(bounds)) => assert!(bounds.contains(&wait), "{fields:?}: {wait:?}"),
                (wait, bounds) => assert!(wait.is_none() && bounds.is_none(), "{fields:?}: {wait:?}"),
            }
        }
    }
}
