//! Fault injection, as callers and endpoints see it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use http::StatusCode;
use mesh_core::Mesh;
use mesh_core::config::{
    Cluster, ClusterSettings, Discovery, Endpoint as Place, EndpointSet, FilterInstance, Forward, LbPolicy,
    Locality, MeshConfig, Priority,
};
use mesh_core::filter::{
    Abort, AbortSource, AbortStatus, Delay, DelaySource, FaultPolicy, MaxActiveFaults, Percentage,
};
use mesh_core::runtime::FixedSource;
use mesh_core::runtime::connect::{ConnectTarget, Dial};
use mesh_tonic::MeshChannel;
use tokio::net::TcpStream;
use tonic::{Code, Request, Status};

use crate::config::{Config, with_retries};
use crate::endpoint::Endpoint;
use crate::{Client, call, client, eventually, hello};

fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

fn delay(delay: Duration) -> FaultPolicy {
    let delay = Delay { source: DelaySource::Fixed(delay), percentage: Percentage::ALL };
    FaultPolicy::new().with_delay(delay)
}

fn abort(status: AbortStatus) -> FaultPolicy {
    let abort = Abort { source: AbortSource::Status(status), percentage: Percentage::ALL };
    FaultPolicy::new().with_abort(abort)
}

fn unavailable() -> AbortStatus {
    AbortStatus::Http(StatusCode::SERVICE_UNAVAILABLE)
}

fn config(endpoint: &Endpoint, fault: FaultPolicy) -> MeshConfig {
    MeshConfig::to_endpoints("greeter", [endpoint.address])
        .with_filters([FilterInstance::new("fault", fault)])
}

fn faulty(endpoint: &Endpoint, fault: FaultPolicy) -> Client {
    client(&Mesh::fixed(config(endpoint, fault)))
}

/// A call with these headers and this timeout.
async fn call_with(
    client: &mut Client,
    headers: &[(&'static str, &str)],
    timeout: Duration,
) -> Result<(), Status> {
    let mut request = Request::new(hello("you"));
    for (name, value) in headers {
        request.metadata_mut().insert(*name, value.parse().unwrap());
    }
    request.set_timeout(timeout);
    client.say_hello(request).await.map(drop)
}

/// Proves: HF-13, HF-14.
#[tokio::test]
async fn aborted_calls_end_with_the_configured_status() {
    let endpoint = Endpoint::start("a").await;
    let http = |status| AbortStatus::http(status).unwrap();
    let rows = [
        (http(400), Code::Internal),
        (http(401), Code::Unauthenticated),
        (http(403), Code::PermissionDenied),
        (http(404), Code::Unimplemented),
        (http(429), Code::Unavailable),
        (http(502), Code::Unavailable),
        (http(503), Code::Unavailable),
        (http(504), Code::Unavailable),
        (http(500), Code::Unknown),
        (http(200), Code::Unknown),
        (AbortStatus::Grpc(3), Code::InvalidArgument),
        (AbortStatus::Grpc(16), Code::Unauthenticated),
        (AbortStatus::Grpc(17), Code::Unknown),
        (AbortStatus::Grpc(u32::MAX), Code::Unknown),
    ];
    for (abort_status, code) in rows {
        let status = call(&mut faulty(&endpoint, abort(abort_status))).await.unwrap_err();
        assert_eq!(status.code(), code, "{abort_status:?}: {status}");
        assert_eq!(status.message(), "aborted by fault injection");
    }
    // OK without a message: an error for who expects one, and the end of a stream
    let mut client = faulty(&endpoint, abort(AbortStatus::Grpc(0)));
    let status = call(&mut client).await.unwrap_err();
    assert_eq!(status.code(), Code::Internal, "{status}");
    let mut replies = client.say_hellos(hello("you")).await.unwrap().into_inner();
    assert_eq!(replies.message().await.unwrap(), None);
    assert_eq!(endpoint.calls(), 0, "nothing is sent");
}

/// Proves: HF-11.
#[tokio::test]
async fn delayed_calls_wait_and_are_then_sent_or_aborted() {
    let endpoint = Endpoint::start("a").await;
    let begin = Instant::now();
    assert_eq!(call(&mut faulty(&endpoint, delay(ms(80)))).await.unwrap(), "a");
    assert!(begin.elapsed() >= ms(80), "{:?}", begin.elapsed());
    assert_eq!(endpoint.calls(), 1);
    let mut both = delay(ms(80));
    both.abort = abort(unavailable()).abort;
    let begin = Instant::now();
    let status = call(&mut faulty(&endpoint, both)).await.unwrap_err();
    assert!(begin.elapsed() >= ms(80), "{:?}", begin.elapsed());
    assert_eq!(status.code(), Code::Unavailable);
    assert_eq!(endpoint.calls(), 1, "an aborted call is not sent");
}

/// A call that is aborted is answered before an endpoint is picked: it connects nothing. `pick_first` connects for calls only,
/// `round_robin` to each endpoint once, with or without calls.
#[tokio::test]
async fn aborted_calls_cost_no_connection() {
    for (policy, expected) in [(LbPolicy::PickFirst { shuffle: false }, 0), (LbPolicy::RoundRobin, 2)] {
        let (a, b) = (Endpoint::start("a").await, Endpoint::start("b").await);
        let config = |filters: Vec<FilterInstance>| {
            let places = vec![Place::new(a.address), Place::new(b.address)];
            let set = EndpointSet::new(vec![Priority::new([Arc::new(Locality::of(places))])]);
            let settings = ClusterSettings::new("greeter").with_lb_policy(policy.clone());
            let cluster = Cluster::new(settings, Discovery::Endpoints(Ok(Arc::new(set))));
            let config = Config { filters, ..Config::default() };
            config.entry("greeter", Ok(cluster)).to(with_retries("greeter", 3)).build()
        };
        let dials = Arc::new(AtomicUsize::new(0));
        let source = FixedSource::any(config(vec![FilterInstance::new("fault", abort(unavailable()))]));
        let mesh = Mesh::builder(source.clone()).dialer(Counting(dials.clone())).build();
        let mut client = client(&mesh);
        eventually("the balancer has connected", || dials.load(Ordering::SeqCst) == expected).await;
        for _ in 0..200 {
            assert_eq!(call(&mut client).await.unwrap_err().code(), Code::Unavailable);
        }
        assert_eq!((dials.load(Ordering::SeqCst), a.calls() + b.calls()), (expected, 0), "{policy:?}");
        // without the fault the same call connects
        source.set("greeter", config(Vec::new()));
        eventually_ok(&mut client).await;
        assert_eq!(dials.load(Ordering::SeqCst), expected.max(1), "{policy:?}");
    }
}

async fn eventually_ok(client: &mut Client) {
    for _ in 0..1000 {
        if call(client).await.is_ok() {
            return;
        }
        // an aborted call waits for nothing
        tokio::time::sleep(ms(1)).await;
    }
    panic!("the fault stays");
}

/// TCP, counted.
#[derive(Debug)]
struct Counting(Arc<AtomicUsize>);

impl Dial for Counting {
    type Io = TcpStream;

    async fn dial(&self, target: &ConnectTarget) -> std::io::Result<TcpStream> {
        self.0.fetch_add(1, Ordering::SeqCst);
        TcpStream::connect(target.address).await
    }
}

#[tokio::test]
async fn deadline_ends_a_delay() {
    let endpoint = Endpoint::start("a").await;
    let mut client = faulty(&endpoint, delay(Duration::from_secs(60)));
    let begin = Instant::now();
    let status = call_with(&mut client, &[], ms(80)).await.unwrap_err();
    assert_eq!(status.code(), Code::DeadlineExceeded, "{status}");
    assert!(status.message().contains("while a filter held the call"), "{status}");
    assert!(begin.elapsed() < Duration::from_secs(10));
    // the route's limit counts, too, whether or not the configuration was there when the call began
    let config = Config { max_stream_duration: Some(ms(80)), ..Config::default() }
        .filter("fault", delay(Duration::from_secs(60)))
        .cluster("greeter", &[endpoint.address])
        .to(Forward::to("greeter"));
    let mut client = crate::client(&Mesh::fixed(config.build()));
    for _ in 0..2 {
        let status = call(&mut client).await.unwrap_err();
        assert_eq!(status.code(), Code::DeadlineExceeded, "{status}");
    }
    assert_eq!(endpoint.calls(), 0);
}

/// The limit counts the faults of all targets, and a call that is cancelled while it is delayed gives its place back.
///
/// Proves: HF-15.
#[tokio::test]
async fn calls_over_active_fault_limit_get_no_fault() {
    let endpoint = Endpoint::start("a").await;
    let limited = delay(Duration::from_secs(60)).with_max_active_faults(MaxActiveFaults(1));
    let source = FixedSource::new();
    source.set("unlimited", config(&endpoint, delay(Duration::from_secs(60))));
    source.set("greeter", config(&endpoint, limited));
    let mesh = Mesh::new(source);
    let mut limited = client(&mesh);
    let other = MeshChannel::builder("unlimited").mesh(&mesh).build().unwrap();
    let mut other = Client::new(other);
    let delayed = tokio::spawn(async move { call(&mut other).await });
    eventually("the delayed call takes the only place", || !delayed.is_finished()).await;
    let mut passed = 0;
    while passed < 3 {
        // until the other call has begun, one of these may be delayed instead
        passed += usize::from(call_with(&mut limited, &[], ms(200)).await.is_ok());
    }
    delayed.abort();
    assert!(delayed.await.unwrap_err().is_cancelled());
    let status = call_with(&mut limited, &[], ms(80)).await.unwrap_err();
    assert_eq!(status.code(), Code::DeadlineExceeded, "the place is free again: {status}");
    let none = abort(unavailable()).with_max_active_faults(MaxActiveFaults(0));
    assert_eq!(call(&mut faulty(&endpoint, none)).await.unwrap(), "a");
}

#[tokio::test]
async fn headers_of_calls_choose_the_fault() {
    let endpoint = Endpoint::start("a").await;
    let policy = FaultPolicy::new()
        .with_abort(Abort { source: AbortSource::Headers, percentage: Percentage::ALL })
        .with_delay(Delay { source: DelaySource::Headers, percentage: Percentage::ALL });
    let mut client = faulty(&endpoint, policy);
    let long = Duration::from_secs(60);
    call_with(&mut client, &[], long).await.unwrap();
    let aborted = [("x-envoy-fault-abort-grpc-request", "7"), ("x-envoy-fault-delay-request", "50")];
    let begin = Instant::now();
    let status = call_with(&mut client, &aborted, long).await.unwrap_err();
    assert_eq!(status.code(), Code::PermissionDenied);
    assert!(begin.elapsed() >= ms(50));
    assert_eq!(endpoint.calls(), 1);
}

#[tokio::test]
async fn abort_is_not_retried_and_delay_applies_once() {
    let endpoint = Endpoint::start("a").await;
    let with = |fault| {
        let config = Config::default()
            .filter("fault", fault)
            .cluster("greeter", &[endpoint.address])
            .to(with_retries("greeter", 3));
        client(&Mesh::fixed(config.build()))
    };
    let status = call(&mut with(abort(unavailable()))).await.unwrap_err();
    assert_eq!((status.code(), endpoint.calls()), (Code::Unavailable, 0));
    let begin = Instant::now();
    let request = crate::asking("error-code-14,succeed-on-retry-attempt-2");
    with(delay(ms(1000))).say_hello(request).await.unwrap();
    let took = begin.elapsed();
    assert_eq!(endpoint.calls(), 3);
    assert!(took >= ms(1000) && took < ms(2000), "{took:?}");
}

#[tokio::test]
async fn half_of_the_calls_are_aborted() {
    let seed = 50;
    let endpoint = Endpoint::start("a").await;
    let half = Abort { source: AbortSource::Status(unavailable()), percentage: Percentage::of_hundred(50) };
    let fault = FaultPolicy::new().with_abort(half);
    let mesh = Mesh::builder(FixedSource::any(config(&endpoint, fault))).seed(seed).build();
    let mut client = client(&mesh);
    let mut aborted = 0_usize;
    for _ in 0..1000 {
        aborted += usize::from(call(&mut client).await.is_err());
    }
    // five standard deviations
    assert!(aborted.abs_diff(500) <= 80, "seed {seed}: {aborted} of 1000");
    assert_eq!(endpoint.calls() + aborted, 1000);
}
