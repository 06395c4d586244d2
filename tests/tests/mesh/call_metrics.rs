//! The metrics of calls, as OpenTelemetry collects them.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use examples::greeter::HelloRequest;
use examples::greeter::greeter_client::GreeterClient;
use mesh_core::Mesh;
use mesh_core::config::{
    Cluster, ClusterSettings, Discovery, DomainPattern, Endpoint, EndpointSet, Forward, Locality, LocalityId,
    MeshConfig, Priority, RetryBackoff, RetryPolicy, RetryableCodes, Route, RouteAction, RouteMatch,
    VirtualHost,
};
use mesh_core::observe::{CallLabel, CallMetrics, CallObserver};
use mesh_core::runtime::FixedSource;
use mesh_core::testing::reserved_address;
use mesh_tonic::{MeshChannel, WaitForReady};
use prost::Message;
use tests::eventually;
use tonic::metadata::MetadataValue;
use tonic::{Code, GrpcMethod, Request};

use crate::embedded::endpoint;
use crate::meter::{Provider, to_float};

/// Instruments of the provider's.
fn metrics(provider: &Provider) -> CallMetrics {
    CallMetrics::new(&provider.meter())
}

/// A client of one endpoint in a locality, with this many attempts for each call.
fn client(metrics: CallMetrics, address: SocketAddr, attempts: u32) -> GreeterClient<MeshChannel> {
    GreeterClient::new(channel(metrics, address, attempts))
}

pub(crate) fn channel(observer: impl CallObserver, address: SocketAddr, attempts: u32) -> MeshChannel {
    let mesh = Mesh::builder(FixedSource::any(config(address, attempts))).observer(observer).build();
    MeshChannel::builder("greeter").mesh(&mesh).build().unwrap()
}

pub(crate) fn config(address: SocketAddr, attempts: u32) -> MeshConfig {
    let backoff = RetryBackoff { initial: Duration::from_millis(1), max: Duration::from_millis(2) };
    let attempts = NonZeroU32::new(attempts).unwrap();
    let retry = RetryPolicy::new(RetryableCodes::UNAVAILABLE, attempts).with_backoff(backoff);
    let forward = Forward::to("shop").with_retry(Arc::new(retry));
    let route = Route::new(RouteMatch::any(), RouteAction::Forward(forward));
    let host = VirtualHost::new("host", vec![DomainPattern::Any], vec![Arc::new(route)]);
    let id = LocalityId { region: "R".into(), zone: "Z".into(), sub_zone: "S".into() };
    let locality = Locality::new(id, NonZeroU32::MIN, vec![Endpoint::new(address)]);
    let endpoints = EndpointSet::new(vec![Priority::new([Arc::new(locality)])]);
    let cluster = Cluster::new(ClusterSettings::new("shop"), Discovery::Endpoints(Ok(Arc::new(endpoints))));
    let clusters = [("shop".into(), Ok(cluster))].into_iter().collect();
    MeshConfig::new(vec![Arc::new(host)], clusters, None).unwrap()
}

pub(crate) fn hello() -> HelloRequest {
    HelloRequest { name: "you".to_owned(), count: 3 }
}

pub(crate) fn asking(behavior: &'static str) -> Request<HelloRequest> {
    let mut request = Request::new(hello());
    request.metadata_mut().insert("rpc-behavior", MetadataValue::from_static(behavior));
    request
}

const METHOD: &str = "grpc.method=mesh.examples.v1.Greeter/SayHello";
const TARGET: &str = "grpc.target=xds:///greeter";

/// What attempts and calls have measured: the number of attempts, the attempts by status, and the calls by status. `place` are the
/// optional labels.
fn expected(
    method: &str,
    place: &str,
    attempts: &[(&str, u64)],
    calls: &[(&str, u64)],
) -> BTreeMap<String, u64> {
    let mut expected = BTreeMap::new();
    let started = attempts.iter().map(|(_, count)| count).sum();
    expected.insert(format!("grpc.client.attempt.started{{{method},{TARGET}}}"), started);
    for (status, count) in attempts {
        for name in ["duration", "sent_total_compressed_message_size", "rcvd_total_compressed_message_size"] {
            let labels = format!("{place}{method},grpc.status={status},{TARGET}");
            expected.insert(format!("grpc.client.attempt.{name}{{{labels}}}"), *count);
        }
    }
    for (status, count) in calls {
        let labels = format!("{method},grpc.status={status},{TARGET}");
        expected.insert(format!("grpc.client.call.duration{{{labels}}}"), *count);
    }
    expected
}

/// Proves: OB-01, OB-02.
#[tokio::test]
async fn retried_call_is_measured_once_and_each_of_its_attempts_for_itself() {
    let provider = Provider::new();
    let mut client = client(metrics(&provider), endpoint("a", "v1").await, 4);
    let reply = client.say_hello(asking("error-code-14,succeed-on-retry-attempt-2")).await.unwrap();
    let expected = expected(METHOD, "", &[("UNAVAILABLE", 2), ("OK", 1)], &[("OK", 1)]);
    provider.until_counts(&expected).await;
    let seen = provider.collect();
    let of = |name: &str, status: &str| {
        &seen[&format!("grpc.client.attempt.{name}{{{METHOD},grpc.status={status},{TARGET}}}")]
    };
    let request = to_float(hello().encoded_len() as u64);
    assert!((of("sent_total_compressed_message_size", "OK").sum - request).abs() < 0.1);
    assert!((of("sent_total_compressed_message_size", "UNAVAILABLE").sum - 2.0 * request).abs() < 0.1);
    let reply = to_float(reply.into_inner().encoded_len() as u64);
    assert!((of("rcvd_total_compressed_message_size", "OK").sum - reply).abs() < 0.1);
    assert!(of("rcvd_total_compressed_message_size", "UNAVAILABLE").sum < 0.1);
    let units: Vec<_> = seen.values().map(|series| &*series.unit).collect();
    // in the order of the names: durations of attempts, received, sent, started, the duration of the call
    assert_eq!(units, ["s", "s", "By", "By", "By", "By", "{attempt}", "s"]);
    assert!(of("duration", "OK").sum > 0.0);
}

/// Proves: OB-04.
#[tokio::test]
async fn histograms_have_the_bounds_of_grpc() {
    let provider = Provider::new();
    let mut client = client(metrics(&provider), endpoint("a", "v1").await, 1);
    client.say_hello(hello()).await.unwrap();
    provider.until_counts(&expected(METHOD, "", &[("OK", 1)], &[("OK", 1)])).await;
    let latencies = "0 .00001 .00005 .0001 .0003 .0006 .0008 .001 .002 .003 .004 .005 .006 .008 .01 .013 .016 .02 \
                     .025 .03 .04 .05 .065 .08 .1 .13 .16 .2 .25 .3 .4 .5 .65 .8 1 2 5 10 20 50 100";
    let latencies: Vec<f64> = latencies.split(' ').map(|bound| bound.parse().unwrap()).collect();
    let mut sizes = vec![0.0, 1024.0, 2048.0, 4096.0];
    sizes.extend(std::iter::successors(Some(16384.0), |bound| Some(bound * 4.0)).take(10));
    assert_eq!(sizes.last(), Some(&4_294_967_296.0));
    for (name, series) in provider.collect() {
        match &*series.unit {
            "s" => assert_eq!(series.bounds, latencies, "{name}"),
            "By" => assert_eq!(series.bounds, sizes, "{name}"),
            _ => assert!(series.bounds.is_empty(), "{name}"),
        }
    }
}

/// Proves: OB-06.
#[tokio::test]
async fn attempts_name_locality_and_cluster_and_failed_picks_have_none() {
    let provider = Provider::new();
    let metrics = metrics(&provider).with_locality().with_backend_service();
    client(metrics.clone(), endpoint("a", "v1").await, 1).say_hello(hello()).await.unwrap();
    let place = r#"grpc.lb.backend_service=shop,grpc.lb.locality={region="R", zone="Z", sub_zone="S"},"#;
    let mut all = expected(METHOD, place, &[("OK", 1)], &[("OK", 1)]);
    provider.until_counts(&all).await;

    let refused = client(metrics, reserved_address(), 1).say_hello(hello()).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unavailable, "{refused}");
    let place = "grpc.lb.backend_service=,grpc.lb.locality=,";
    let failed = expected(METHOD, place, &[("UNAVAILABLE", 1)], &[("UNAVAILABLE", 1)]);
    all.extend(failed);
    all.insert(format!("grpc.client.attempt.started{{{METHOD},{TARGET}}}"), 2);
    provider.until_counts(&all).await;
}

/// Proves: OB-05, SEC-09.
#[tokio::test]
async fn methods_without_generated_code_are_other_unless_they_are_allowed() {
    let address = endpoint("a", "v1").await;
    let (unknown, allowed) = (Provider::new(), Provider::new());
    let allowing = metrics(&allowed).allow_methods(|method| method == "mesh.examples.v1.Greeter/SayHello");
    for metrics in [metrics(&unknown), allowing] {
        let forget = |mut request: Request<()>| {
            request.extensions_mut().remove::<GrpcMethod<'static>>();
            Ok(request)
        };
        let mut client = GreeterClient::with_interceptor(channel(metrics, address, 1), forget);
        client.say_hello(hello()).await.unwrap();
    }
    let (attempts, calls) = ([("OK", 1)], [("OK", 1)]);
    unknown.until_counts(&expected("grpc.method=other", "", &attempts, &calls)).await;
    allowed.until_counts(&expected(METHOD, "", &attempts, &calls)).await;
}

/// Proves: OB-02.
#[tokio::test]
async fn calls_that_are_cancelled_or_overdue_are_measured_with_their_status() {
    let provider = Provider::new();
    // it waits for its endpoint until the deadline
    let mut late = Request::new(hello());
    late.set_timeout(Duration::from_millis(50));
    late.extensions_mut().insert(WaitForReady(true));
    let error = client(metrics(&provider), reserved_address(), 1).say_hello(late).await.unwrap_err();
    assert_eq!(error.code(), Code::DeadlineExceeded);
    let mut all = expected(METHOD, "", &[("DEADLINE_EXCEEDED", 1)], &[("DEADLINE_EXCEEDED", 1)]);
    provider.until_counts(&all).await;

    let mut client = client(metrics(&provider), endpoint("a", "v1").await, 1);
    // cancelled before it was polled: it had no attempt
    drop(client.say_hello(hello()));
    let mut pending = Box::pin(client.say_hello(asking("sleep-60")));
    let started = format!("grpc.client.attempt.started{{{METHOD},{TARGET}}}");
    eventually("the second attempt has begun", async || {
        let polled = std::future::poll_fn(|cx| std::task::Poll::Ready(pending.as_mut().poll(cx))).await;
        assert!(polled.is_pending());
        if provider.counts()[&started] == 2 { Ok(()) } else { Err("not yet".to_owned()) }
    })
    .await;
    drop(pending);
    all.extend(expected(METHOD, "", &[("CANCELLED", 1)], &[("CANCELLED", 1)]));
    all.insert(started, 2);
    provider.until_counts(&all).await;
}

/// Proves: OB-14, OB-16.
#[tokio::test]
async fn retries_and_labels_of_calls_are_measured_on_demand() {
    let provider = Provider::new();
    let metrics = metrics(&provider).with_retries(&provider.meter()).with_call_label();
    let mut client = client(metrics, endpoint("a", "v1").await, 4);
    let mut request = asking("error-code-14,succeed-on-retry-attempt-2");
    request.extensions_mut().insert(CallLabel("mine".into()));
    client.say_hello(request).await.unwrap();
    client.say_hello(hello()).await.unwrap();

    let counted = |label: &str, attempts: &[_]| {
        expected(&format!("grpc.client.call.custom={label},{METHOD}"), "", attempts, &[("OK", 1)])
    };
    let mut all = counted("mine", &[("UNAVAILABLE", 2), ("OK", 1)]);
    // a call without retries measures none
    all.extend(counted("", &[("OK", 1)]));
    let labels = format!("{{grpc.client.call.custom=mine,{METHOD},{TARGET}}}");
    let (retries, delay) = (format!("grpc.client.call.retries{labels}"), "grpc.client.call.retry_delay");
    all.extend([(retries.clone(), 1), (format!("{delay}{labels}"), 1)]);
    provider.until_counts(&all).await;
    let retries = &provider.collect()[&retries];
    assert!((retries.sum - 2.0).abs() < 0.1, "{retries:?}");
    assert_eq!((&*retries.unit, &retries.bounds[..]), ("{retry}", &[1.0, 2.0, 3.0, 4.0, 5.0][..]));
}
