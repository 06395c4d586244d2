//! Retry policies of virtual hosts and routes.

use std::time::Duration;

use http::{HeaderName, StatusCode};
use mesh_core::config::{
    OtherEndpoints, RateLimitedBackoff, ResetFormat, ResetHeader, RetryBackoff, RetryConditions as On,
    RetryPolicy, RetryableCodes, RouteAction,
};
use mesh_core::policy::matcher::{HeaderMatcher, HeaderRule};
use xds_proto::envoy::config::route::v3::header_matcher::HeaderMatchSpecifier;
use xds_proto::envoy::config::route::v3::retry_policy::{
    RateLimitedRetryBackOff, ResetHeader as ProtoReset, RetryBackOff, RetryHostPredicate,
};
use xds_proto::envoy::config::route::v3::{
    HeaderMatcher as ProtoHeader, HedgePolicy, RetryPolicy as ProtoRetry, RouteConfiguration as Config,
};
use xds_proto::google::protobuf::Duration as ProtoDuration;

use super::action_tests::{action, forwarded};
use super::samples::simple;
use super::*;
use crate::resource::testing::{Row, check, decode, millis, seconds, u32_value};

fn backoff(base: Option<ProtoDuration>, max: Option<ProtoDuration>) -> Option<ProtoRetry> {
    let retry_back_off = Some(RetryBackOff { base_interval: base, max_interval: max });
    Some(ProtoRetry { retry_on: "internal".into(), retry_back_off, ..Default::default() })
}

const RETRY_POLICIES: &[Row<Config>] = &[
    (
        "RDS-15 no retries",
        |m| {
            action(m).retry_policy = Some(ProtoRetry { num_retries: u32_value(0), ..Default::default() });
        },
        Err(("virtual_hosts[0].routes[0].route.retry_policy.num_retries", "must be at least 1")),
    ),
    (
        "RDS-15 no base",
        |m| action(m).retry_policy = backoff(None, seconds(1)),
        Err(("virtual_hosts[0].routes[0].route.retry_policy.retry_back_off.base_interval", "must be set")),
    ),
    (
        "RDS-15 base 0",
        |m| action(m).retry_policy = backoff(seconds(0), None),
        Err(("virtual_hosts[0].routes[0].route.retry_policy.retry_back_off.base_interval", "more than 0")),
    ),
    (
        "RDS-15 base negative",
        |m| action(m).retry_policy = backoff(seconds(-1), None),
        Err(("virtual_hosts[0].routes[0].route.retry_policy.retry_back_off.base_interval", "-1 s")),
    ),
    (
        "RDS-15 max 0",
        |m| action(m).retry_policy = backoff(seconds(1), seconds(0)),
        Err(("virtual_hosts[0].routes[0].route.retry_policy.retry_back_off.max_interval", "more than 0")),
    ),
    (
        "RDS-15 max below base",
        |m| action(m).retry_policy = backoff(millis(10), millis(9)),
        Err(("virtual_hosts[0].routes[0].route.retry_policy.retry_back_off.max_interval", "less than base")),
    ),
    (
        "RT-53 negative",
        |m| action(m).retry_policy = Some(ProtoRetry { per_try_timeout: seconds(-1), ..Default::default() }),
        Err(("virtual_hosts[0].routes[0].route.retry_policy.per_try_timeout", "-1 s")),
    ),
    (
        "RT-50 no status",
        |m| {
            let retriable_status_codes = vec![503, 1000];
            action(m).retry_policy = Some(ProtoRetry { retriable_status_codes, ..Default::default() });
        },
        Err((
            "virtual_hosts[0].routes[0].route.retry_policy.retriable_status_codes[1]",
            "is not an HTTP status",
        )),
    ),
    (
        "RT-55 no header",
        |m| {
            let rate_limited_retry_back_off = Some(RateLimitedRetryBackOff::default());
            action(m).retry_policy = Some(ProtoRetry { rate_limited_retry_back_off, ..Default::default() });
        },
        Err((
            "virtual_hosts[0].routes[0].route.retry_policy.rate_limited_retry_back_off.reset_headers",
            "must not be empty",
        )),
    ),
    (
        "RT-57 other predicate",
        |m| {
            let predicate = RetryHostPredicate { name: "other".into(), ..Default::default() };
            let retry_host_predicate = vec![predicate];
            action(m).retry_policy = Some(ProtoRetry { retry_host_predicate, ..Default::default() });
        },
        Err(("virtual_hosts[0].routes[0].route.retry_policy.retry_host_predicate[0].name", "not supported")),
    ),
    (
        "RDS-15 of a virtual host",
        |m| m.virtual_hosts[0].retry_policy = backoff(None, None),
        Err(("virtual_hosts[0].retry_policy.retry_back_off.base_interval", "must be set")),
    ),
];

/// Proves: RDS-15.
#[test]
fn retry_policies_of_hosts_and_routes() {
    let read = |policy: ProtoRetry| {
        let mut config = simple();
        config.virtual_hosts[0].retry_policy = Some(policy.clone());
        action(&mut config).retry_policy = Some(policy);
        let config =
            decode::<RouteConfiguration>(&RouteConfigurationType, &DecodeContext::default(), &config)
                .unwrap();
        let host = &config.virtual_hosts[0];
        let RouteAction::Forward(forward) = &host.routes[0].action else { panic!("it forwards") };
        assert_eq!(host.retry, forward.retry);
        RetryPolicy::clone(forward.retry.as_ref().unwrap())
    };
    assert_eq!(forwarded(|_| {}).retry, None);
    let default = read(ProtoRetry::default());
    assert_eq!((default.max_attempts.get(), default.backoff), (2, RetryBackoff::default()));
    let many = |retries| {
        read(ProtoRetry { num_retries: u32_value(retries), ..Default::default() }).max_attempts.get()
    };
    assert_eq!((many(1), many(4), many(u32::MAX)), (2, 5, u32::MAX));
    let rows = [
        (millis(10), None, 10, 100),
        (millis(10), millis(10), 10, 10),
        (millis(10), seconds(1), 10, 1000),
        (Some(ProtoDuration { seconds: 0, nanos: 5 }), None, 1, 1),
        (Some(ProtoDuration { seconds: 0, nanos: 5 }), millis(2), 1, 2),
        (
            Some(ProtoDuration { seconds: 0, nanos: 500_000 }),
            Some(ProtoDuration { seconds: 0, nanos: 600_000 }),
            1,
            1,
        ),
    ];
    for (base, max, initial, longest) in rows {
        let expected =
            RetryBackoff { initial: Duration::from_millis(initial), max: Duration::from_millis(longest) };
        assert_eq!(read(backoff(base, max).unwrap()).backoff, expected, "{base:?} {max:?}");
    }
    let longest = read(backoff(seconds(315_576_000_000), None).unwrap()).backoff;
    assert_eq!(longest.max, Duration::from_secs(3_155_760_000_000));
    check(&RouteConfigurationType, &simple(), RETRY_POLICIES);
}

/// Proves: RDS-16.
#[test]
fn retry_conditions_are_grpc_statuses() {
    let all = [
        RetryableCodes::CANCELLED,
        RetryableCodes::DEADLINE_EXCEEDED,
        RetryableCodes::INTERNAL,
        RetryableCodes::RESOURCE_EXHAUSTED,
        RetryableCodes::UNAVAILABLE,
    ];
    let rows = [
        ("cancelled,deadline-exceeded,internal,resource-exhausted,unavailable", all.to_vec()),
        (" Unavailable , 5xx,,CANCELLED\t", vec![RetryableCodes::CANCELLED, RetryableCodes::UNAVAILABLE]),
        ("5xx,gateway-error", vec![]),
        ("", vec![]),
        ("unavailable-ish", vec![]),
    ];
    for (text, codes) in rows {
        let policy = ProtoRetry { retry_on: text.into(), ..Default::default() };
        let policy = forwarded(|action| action.retry_policy = Some(policy)).retry.unwrap();
        let expected = codes.into_iter().fold(RetryableCodes::none(), RetryableCodes::with);
        assert_eq!(policy.retry_on, expected, "{text:?}");
    }
}

#[test]
fn envoys_conditions_and_limits_are_read_beside_grpcs_codes() {
    let present = |name: &str| ProtoHeader {
        name: name.into(),
        header_match_specifier: Some(HeaderMatchSpecifier::PresentMatch(true)),
        ..Default::default()
    };
    let reset = |name: &str, format| ProtoReset { name: name.into(), format };
    let policy = ProtoRetry {
        retry_on: "5XX, reset ,retriable-headers,unavailable,http3-post-connect-failure".into(),
        per_try_timeout: seconds(2),
        retriable_status_codes: vec![429],
        retriable_headers: vec![present("x-again")],
        retriable_request_headers: vec![present("x-safe")],
        rate_limited_retry_back_off: Some(RateLimitedRetryBackOff {
            reset_headers: vec![reset("Retry-After", 0), reset("x-reset", 1)],
            max_interval: seconds(9),
        }),
        retry_host_predicate: vec![RetryHostPredicate {
            name: "envoy.retry_host_predicates.previous_hosts".into(),
            ..Default::default()
        }],
        host_selection_retry_max_attempts: 5,
        ..Default::default()
    };
    let header = |name| HeaderMatcher::new(HeaderName::from_static(name), HeaderRule::Present(true));
    let read = |policy: ProtoRetry| {
        let forward = forwarded(|action| action.retry_policy = Some(policy));
        RetryPolicy::clone(&forward.retry.unwrap())
    };
    let found = read(policy.clone());
    assert_eq!(found.retry_on, RetryableCodes::UNAVAILABLE);
    assert_eq!(found.conditions, On::SERVER_ERROR.with(On::RESET).with(On::RETRIABLE_HEADERS));
    assert_eq!(found.per_try_timeout, Some(Duration::from_secs(2)));
    assert_eq!(found.status_codes, [StatusCode::TOO_MANY_REQUESTS]);
    assert_eq!(
        (found.response_headers, found.request_headers),
        (vec![header("x-again")], vec![header("x-safe")])
    );
    let reset = |name, format| ResetHeader { name: HeaderName::from_static(name), format };
    let mut expected = RateLimitedBackoff::new(vec![
        reset("retry-after", ResetFormat::Seconds),
        reset("x-reset", ResetFormat::UnixTimestamp),
    ]);
    expected.max = Duration::from_secs(9);
    assert_eq!(found.rate_limited, Some(expected));
    assert_eq!(found.other_endpoints, OtherEndpoints::Repick(5));
    let unset = ProtoRetry { host_selection_retry_max_attempts: 0, ..policy };
    assert_eq!(read(unset).other_endpoints, OtherEndpoints::Repick(1));
    let none = read(ProtoRetry { per_try_timeout: seconds(0), ..Default::default() });
    assert_eq!((none.per_try_timeout, none.other_endpoints), (None, OtherEndpoints::Prefer));
}

/// Calls are in `mesh-tonic/tests/mesh/hedging.rs`.
///
/// Proves: RT-56.
#[test]
fn hedging_takes_the_timeout_of_attempts_as_its_delay() {
    let retry = |seconds_per_try| {
        Some(ProtoRetry {
            retry_on: "unavailable".into(),
            per_try_timeout: seconds(seconds_per_try),
            ..Default::default()
        })
    };
    let hedge = |hedge_on_per_try_timeout| Some(HedgePolicy { hedge_on_per_try_timeout });
    type Levels = (Option<ProtoRetry>, Option<HedgePolicy>);
    let read = |of_host: Levels, of_route: Levels| {
        let mut config = simple();
        let host = &mut config.virtual_hosts[0];
        (host.retry_policy, host.hedge_policy) = of_host;
        let route = action(&mut config);
        (route.retry_policy, route.hedge_policy) = of_route;
        let context = DecodeContext::default();
        let config = decode::<RouteConfiguration>(&RouteConfigurationType, &context, &config).unwrap();
        let RouteAction::Forward(forward) = &config.virtual_hosts[0].routes[0].action else {
            panic!("it forwards")
        };
        forward.retry.as_ref().map(|policy| (policy.hedging, policy.per_try_timeout))
    };
    let second = |seconds| Some(Duration::from_secs(seconds));
    assert_eq!(read((None, None), (retry(1), hedge(true))), Some((second(1), None)));
    assert_eq!(read((None, None), (retry(1), hedge(false))), Some((None, second(1))));
    assert_eq!(
        read((retry(2), hedge(true)), (retry(1), None)),
        Some((second(1), None)),
        "of the virtual host"
    );
    assert_eq!(read((retry(2), hedge(true)), (None, None)), Some((second(2), None)));
    assert_eq!(
        read((retry(2), hedge(true)), (None, hedge(false))),
        None,
        "the virtual host's policy stays as it is"
    );
    assert_eq!(read((None, None), (None, hedge(true))), None, "nothing is retried");
    assert_eq!(read((None, None), (retry(0), hedge(true))), Some((None, None)), "no timeout, no hedge");
}
