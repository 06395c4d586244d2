//! Conditions, timeouts and endpoints of retries, on virtual time.

use std::num::NonZeroU32;
use std::time::Duration;

use examples::greeter::greeter_client::GreeterClient;
use http::{HeaderName, StatusCode};
use mesh_core::config::{
    Forward, HashPolicy, LbPolicy, MeshConfig, OtherEndpoints, RateLimitedBackoff, ResetFormat, ResetHeader,
    RetryBackoff, RetryConditions as On, RetryPolicy, RetryableCodes, RingHash,
};
use mesh_core::policy::matcher::{HeaderMatcher, HeaderRule};
use mesh_core::policy::retry::RetryThrottling;
use mesh_tonic::MeshChannel;
use tokio::time::Instant;
use tonic::Code;

use crate::config::{Config, retrying};
use crate::scripted::Fleet;
use crate::{call, client, hello};

fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

fn policy(attempts: u32) -> RetryPolicy {
    RetryPolicy::clone(&retrying(attempts))
}

fn to(addresses: &[std::net::SocketAddr], policy: RetryPolicy) -> MeshConfig {
    Config::default().cluster("greeter", addresses).to(Forward::to("greeter").with_retry(policy)).build()
}

/// The first attempt gets no answer in time, the second one does.
///
/// Proves: RT-53.
#[tokio::test(start_paused = true)]
async fn attempt_without_response_in_time_is_cancelled_and_retried() {
    let fleet = Fleet::default();
    let address = fleet.endpoint(|arrival| match arrival.number {
        0 => arrival.hang(),
        _ => arrival.succeed(),
    });
    let on_reset = policy(3).with_conditions(On::RESET).with_per_try_timeout(ms(50));
    let start = Instant::now();
    call(&mut client(&fleet.mesh(to(&[address], on_reset.clone())))).await.unwrap();
    let arrivals = fleet.arrivals(address, start);
    assert_eq!(arrivals.len(), 2);
    assert!(arrivals[1] >= ms(50) && arrivals[1] < ms(60), "{arrivals:?}");

    let hanging = fleet.endpoint(|arrival| arrival.hang());
    let codes = RetryableCodes::UNAVAILABLE.with(RetryableCodes::DEADLINE_EXCEEDED);
    for (policy, attempts) in [
        (on_reset.clone(), 3),
        (policy(3).with_per_try_timeout(ms(50)), 1),
        (RetryPolicy::new(codes, NonZeroU32::new(2).unwrap()).with_per_try_timeout(ms(50)), 2),
    ] {
        let before = fleet.count(hanging);
        let status = call(&mut client(&fleet.mesh(to(&[hanging], policy)))).await.unwrap_err();
        assert_eq!(status.code(), Code::DeadlineExceeded, "{status}");
        assert!(status.message().contains("50ms for one attempt"), "{status}");
        assert_eq!(fleet.count(hanging) - before, attempts);
    }
    // a timeout that is not shorter than the call's is none
    let mut request = tonic::Request::new(hello("you"));
    request.set_timeout(ms(50));
    let status = client(&fleet.mesh(to(&[hanging], on_reset))).say_hello(request).await.unwrap_err();
    assert!(!status.message().contains("for one attempt"), "{status}");
}

/// C47: per try 50 ms, in all 100 ms; the head comes after 10 ms.
///
/// Proves: RT-43, RT-53.
#[tokio::test(start_paused = true)]
async fn response_that_has_begun_is_not_cut_by_the_timeout_of_its_attempt() {
    let fleet = Fleet::default();
    for (message_at, expected) in [(70, Ok(())), (120, Err(Code::DeadlineExceeded))] {
        let address = fleet.endpoint(move |mut arrival| {
            tokio::spawn(async move {
                tokio::time::sleep(ms(10)).await;
                let head = http::Response::builder().header("content-type", "application/grpc");
                let mut stream = arrival.respond.send_response(head.body(()).unwrap(), false).unwrap();
                tokio::time::sleep(ms(message_at - 10)).await;
                // the client may have gone
                let _ = stream.send_data(vec![0; 5].into(), false);
                let trailers =
                    http::HeaderMap::from_iter([(HeaderName::from_static("grpc-status"), 0.into())]);
                let _ = stream.send_trailers(trailers);
            });
        });
        let policy = policy(3).with_conditions(On::RESET).with_per_try_timeout(ms(50));
        let mut client = client(&fleet.mesh(to(&[address], policy)));
        let mut request = tonic::Request::new(hello("you"));
        request.set_timeout(ms(100));
        let result = client.say_hello(request).await.map(drop).map_err(|status| status.code());
        assert_eq!((result, fleet.count(address)), (expected, 1));
    }
}

/// C48: the first attempt fails after 0.9 s of 1 s, and the next one is due 5 s later.
#[tokio::test(start_paused = true)]
async fn call_ends_at_its_deadline_while_it_waits_for_another_attempt() {
    let fleet = Fleet::default();
    for pushback in [None, Some("5000")] {
        let address = fleet.endpoint(move |arrival| {
            tokio::spawn(async move {
                tokio::time::sleep(ms(900)).await;
                match pushback {
                    Some(wait) => arrival.fail_with(14, &[("grpc-retry-pushback-ms", wait)]),
                    None => arrival.fail(14),
                }
            });
        });
        let backoff = RetryBackoff { initial: ms(5000), max: ms(5000) };
        let mut client = client(&fleet.mesh(to(&[address], policy(3).with_backoff(backoff))));
        let mut request = tonic::Request::new(hello("you"));
        request.set_timeout(ms(1000));
        let start = Instant::now();
        let status = client.say_hello(request).await.unwrap_err();
        assert_eq!((status.code(), fleet.count(address)), (Code::DeadlineExceeded, 1));
        assert!(start.elapsed() >= ms(1000) && start.elapsed() < ms(1010), "{:?}", start.elapsed());
        tokio::time::sleep(ms(10_000)).await;
        assert_eq!(fleet.count(address), 1, "no timer is left");
    }
}

/// Proves: RT-50, RT-57.
#[tokio::test(start_paused = true)]
async fn envoys_conditions_retry_what_grpcs_codes_do_not_name() {
    let fleet = Fleet::default();
    let present = |name| HeaderMatcher::new(HeaderName::from_static(name), HeaderRule::Present(true));
    let mut marked = none(On::RETRIABLE_HEADERS);
    marked.response_headers = vec![present("x-again")];
    let mut listed = none(On::RETRIABLE_STATUS_CODES);
    listed.status_codes = vec![StatusCode::IM_A_TEAPOT];
    let mut safe = none(On::SERVER_ERROR);
    safe.request_headers = vec![present("x-safe"), present("x-user")];
    let mut unsafe_only = none(On::SERVER_ERROR);
    unsafe_only.request_headers = vec![present("x-safe")];
    let rows: [(RetryPolicy, u16, usize); 7] = [
        (none(On::SERVER_ERROR), 500, 3),
        (none(On::GATEWAY_ERROR), 500, 1),
        (none(On::GATEWAY_ERROR), 503, 3),
        (listed, 418, 3),
        (marked, 200, 3),
        (safe, 500, 3),
        (unsafe_only, 500, 1),
    ];
    for (policy, status, attempts) in rows {
        let address = fleet.endpoint(move |arrival| match status {
            200 => arrival.fail_with(5, &[("x-again", "1")]),
            status => arrival.http(status),
        });
        let mut request = tonic::Request::new(hello("you"));
        request.metadata_mut().insert("x-user", "u".parse().unwrap());
        let mut client = client(&fleet.mesh(to(&[address], policy.clone())));
        client.say_hello(request).await.unwrap_err();
        assert_eq!(fleet.count(address), attempts, "{status} {policy:?}");
    }
}

/// No code of gRPC's, and these conditions; three attempts.
fn none(conditions: On) -> RetryPolicy {
    let three = NonZeroU32::new(3).unwrap();
    let backoff = RetryBackoff { initial: ms(1), max: ms(1) };
    RetryPolicy::new(RetryableCodes::none(), three).with_backoff(backoff).with_conditions(conditions)
}

/// Proves: RT-55.
#[tokio::test(start_paused = true)]
async fn server_sets_the_wait_in_a_header() {
    let fleet = Fleet::default();
    let address = fleet.endpoint(|arrival| match arrival.number {
        0 => arrival.fail_with(14, &[("retry-after", "7")]),
        _ => arrival.succeed(),
    });
    let mut policy = policy(2);
    let name = HeaderName::from_static("retry-after");
    policy.rate_limited =
        Some(RateLimitedBackoff::new(vec![ResetHeader { name, format: ResetFormat::Seconds }]));
    let start = Instant::now();
    call(&mut client(&fleet.mesh(to(&[address], policy)))).await.unwrap();
    let second = fleet.arrivals(address, start)[1];
    assert!(second >= ms(7000) && second <= ms(10_600), "{second:?}");
}

/// C24 b: four attempts at two endpoints that both fail.
#[tokio::test(start_paused = true)]
async fn attempts_go_to_untried_endpoints_and_then_to_all_again() {
    let fleet = Fleet::default();
    let addresses = [(); 3].map(|()| fleet.endpoint(|arrival| arrival.fail(14)));
    for (endpoints, attempts, each) in [(2, 4, vec![2, 2]), (3, 3, vec![1, 1, 1])] {
        let addresses = &addresses[..endpoints];
        let before: Vec<_> = addresses.iter().map(|address| fleet.count(*address)).collect();
        let mut policy = policy(attempts);
        policy.other_endpoints = OtherEndpoints::Repick(20);
        let mesh = fleet.mesh(to(addresses, policy));
        let mut client = client(&mesh);
        MeshChannel::builder("greeter").mesh(&mesh).build().unwrap().warm_up(ms(1000)).await.unwrap();
        call(&mut client).await.unwrap_err();
        let after = addresses.iter().map(|address| fleet.count(*address));
        let counts: Vec<_> = after.zip(before).map(|(after, before)| after - before).collect();
        assert_eq!(counts, each);
    }
}

/// C24 a: the endpoint of the hash refuses every call.
///
/// Proves: RT-57.
#[tokio::test(start_paused = true)]
async fn call_with_a_hash_leaves_its_endpoint_only_if_the_policy_says_so() {
    let fleet = Fleet::default();
    let refusing = fleet.endpoint(|arrival| arrival.fail(14));
    let answering = fleet.endpoint(|arrival| arrival.succeed());
    for (other_endpoints, all_succeed) in
        [(OtherEndpoints::Repick(30), true), (OtherEndpoints::Prefer, false)]
    {
        let mut policy = policy(2);
        policy.other_endpoints = other_endpoints;
        let mut forward = Forward::to("greeter").with_retry(policy);
        let name = HeaderName::from_static("x-user");
        forward.hash_policies = vec![HashPolicy::Header { name, rewrite: None, terminal: false }];
        let ring = LbPolicy::RingHash(RingHash::new(128, 128));
        let config = Config::default().cluster("greeter", &[refusing, answering]).with_lb_policy(ring);
        let mut client = client(&fleet.mesh(config.to(forward).build()));
        let mut failed = 0;
        for user in 0..40 {
            let mut request = tonic::Request::new(hello("you"));
            request.metadata_mut().insert("x-user", user.to_string().parse().unwrap());
            failed += usize::from(client.say_hello(request).await.is_err());
        }
        assert_eq!(failed == 0, all_succeed, "{failed} of 40 calls failed");
    }
}

/// Proves: RT-72.
#[tokio::test(start_paused = true)]
async fn calls_of_a_channel_stay_together_and_channels_do_not() {
    let fleet = Fleet::default();
    let endpoints = [0; 2].map(|_| fleet.endpoint(|arrival| arrival.succeed()));
    let mut forward = Forward::to("greeter");
    forward.hash_policies = vec![HashPolicy::ChannelId { terminal: false }];
    let ring = LbPolicy::RingHash(RingHash::new(128, 128));
    let config = Config::default().cluster("greeter", &endpoints).with_lb_policy(ring);
    let mesh = fleet.mesh(config.to(forward).build());
    for _ in 0..40 {
        let before = endpoints.map(|endpoint| fleet.count(endpoint));
        let mut client = client(&mesh);
        for _ in 0..5 {
            call(&mut client).await.unwrap();
        }
        let carried = [0, 1].map(|at| fleet.count(endpoints[at]) - before[at]);
        assert!(carried.contains(&0), "{carried:?}");
    }
    assert!(endpoints.iter().all(|endpoint| fleet.count(*endpoint) > 0), "numbers are drawn");
}

/// Proves: RT-48.
#[tokio::test(start_paused = true)]
async fn channel_stops_retries_while_too_many_attempts_fail() {
    let fleet = Fleet::default();
    let address = fleet.endpoint(|arrival| match arrival.number {
        20.. => arrival.succeed(),
        _ => arrival.fail(14),
    });
    let mesh = fleet.mesh(to(&[address], policy(2)));
    let throttling = RetryThrottling::new(10, 1.0).unwrap();
    let channel = MeshChannel::builder("greeter").mesh(&mesh).retry_throttling(throttling).build().unwrap();
    let mut client = GreeterClient::new(channel);
    let mut attempts = Vec::new();
    for _ in 0..6 {
        let before = fleet.count(address);
        call(&mut client).await.unwrap_err();
        attempts.push(fleet.count(address) - before);
    }
    // each failure costs one of ten tokens, and at five retries stop
    assert_eq!(attempts, [2, 2, 1, 1, 1, 1]);
    while call(&mut client).await.is_err() {}
    for _ in 0..10 {
        call(&mut client).await.unwrap();
    }
}
