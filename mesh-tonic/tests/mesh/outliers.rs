//! Outlier detection: what counts against an endpoint, and what a client sees of it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use h2::server::SendResponse;
use http::{HeaderMap, Response};
use mesh_core::Mesh;
use mesh_core::config::{
    Cluster, ClusterSettings, ConsecutiveEjection, Discovery, Endpoint as Place, EndpointSet,
    FailurePercentageEjection, Forward, Locality, MaxRequests, MeshConfig, OutlierDetection, Priority,
};
use mesh_core::runtime::{ConfigSource, ConfigWatch, EjectionStore, FixedSource, SourceError, Target};
use tonic::Code;

use crate::config::Config;
use crate::endpoint::Endpoint;
use crate::{asking, call, client, eventually, hello, raw};

/// A source that shows what is ejected.
#[derive(Debug, Clone)]
struct Source {
    configs: FixedSource,
    ejections: Arc<EjectionStore>,
}

impl Source {
    fn new(settings: ClusterSettings, addresses: &[SocketAddr]) -> Self {
        let configs = FixedSource::any(to(settings, addresses));
        Self { configs, ejections: Arc::default() }
    }

    fn ejected(&self) -> Vec<SocketAddr> {
        self.ejections.ejected().iter().map(|ejected| ejected.addresses.first()).collect()
    }
}

impl ConfigSource for Source {
    fn watch(&self, target: &Target) -> Result<ConfigWatch, SourceError> {
        self.configs.watch(target)
    }

    fn ejections(&self) -> Option<Arc<EjectionStore>> {
        Some(self.ejections.clone())
    }
}

fn to(settings: ClusterSettings, addresses: &[SocketAddr]) -> MeshConfig {
    let endpoints = addresses.iter().copied().map(Place::new).collect();
    let set = EndpointSet::new(vec![Priority::new([Arc::new(Locality::of(endpoints))])]);
    let cluster = Cluster::new(settings, Discovery::Endpoints(Ok(Arc::new(set))));
    Config::default().entry("greeter", Ok(cluster)).to(Forward::to("greeter")).build()
}

fn detecting(detection: OutlierDetection) -> ClusterSettings {
    ClusterSettings::new("greeter").with_outlier_detection(detection)
}

/// Only by this, and as many as there are.
fn detecting_by(change: impl FnOnce(&mut OutlierDetection)) -> OutlierDetection {
    let mut detection = OutlierDetection::off();
    detection.max_ejection_percent = 100;
    change(&mut detection);
    detection
}

const THREE: Option<ConsecutiveEjection> = Some(ConsecutiveEjection { threshold: 3, enforcing_percent: 100 });

/// By three server errors in a row.
fn server_errors() -> OutlierDetection {
    detecting_by(|detection| detection.consecutive_5xx = THREE)
}

fn head(status: u16, headers: &[(&'static str, &str)]) -> Response<()> {
    let mut head = Response::builder().status(status).header("content-type", "application/grpc");
    for (name, value) in headers {
        head = head.header(*name, *value);
    }
    head.body(()).unwrap()
}

/// How an endpoint ends every call.
#[derive(Debug, Clone, Copy)]
enum Answer {
    /// With a gRPC status and nothing else.
    Status(u8),
    /// With a gRPC status after a head.
    Trailers(u8),
    /// Without a gRPC status.
    Http(u16),
    Reset,
}

impl Answer {
    fn send(self, mut respond: SendResponse<Bytes>) {
        match self {
            Self::Status(code) => {
                drop(respond.send_response(head(200, &[("grpc-status", &code.to_string())]), true));
            }
            Self::Trailers(code) => {
                let mut stream = respond.send_response(head(200, &[]), false).unwrap();
                let mut trailers = HeaderMap::new();
                trailers.insert("grpc-status", u16::from(code).into());
                stream.send_trailers(trailers).unwrap();
            }
            Self::Http(status) => drop(respond.send_response(head(status, &[]), true)),
            Self::Reset => respond.send_reset(h2::Reason::INTERNAL_ERROR),
        }
    }
}

/// Whether three such answers in a row eject: as server errors, and as gateway errors.
const ANSWERS: &[(Answer, bool, bool)] = &[
    (Answer::Status(0), false, false),
    (Answer::Status(1), false, false),
    (Answer::Status(2), true, false),
    (Answer::Status(3), false, false),
    (Answer::Status(4), true, true),
    (Answer::Status(5), false, false),
    (Answer::Status(8), false, false),
    (Answer::Status(10), false, false),
    (Answer::Status(12), true, false),
    (Answer::Status(13), true, false),
    (Answer::Status(14), true, true),
    (Answer::Status(15), true, false),
    (Answer::Status(16), false, false),
    (Answer::Trailers(0), false, false),
    (Answer::Trailers(13), true, false),
    (Answer::Trailers(14), true, true),
    (Answer::Http(200), true, false),
    (Answer::Http(404), false, false),
    (Answer::Http(500), true, false),
    (Answer::Http(502), true, true),
    (Answer::Http(503), true, true),
    (Answer::Http(504), true, true),
    (Answer::Reset, true, true),
];

/// Proves: LB-62.
#[tokio::test]
async fn grpc_statuses_count_as_the_http_statuses_of_envoy() {
    for &(answer, is_server_error, is_gateway_error) in ANSWERS {
        let gateway_errors = detecting_by(|detection| detection.consecutive_gateway_failures = THREE);
        for (detection, expected) in [(server_errors(), is_server_error), (gateway_errors, is_gateway_error)]
        {
            let address = raw::serve(move |_, respond| answer.send(respond)).await;
            let source = Source::new(detecting(detection), &[address]);
            let mut client = client(&Mesh::new(source.clone()));
            for _ in 0..3 {
                // An OK without a message is an error of the generated client, not of the endpoint.
                client.say_hello(hello("you")).await.unwrap_err();
            }
            if expected {
                eventually("the endpoint is ejected", || source.ejected() == [address]).await;
            } else {
                for _ in 0..20 {
                    client.say_hello(hello("you")).await.unwrap_err();
                }
                assert_eq!(source.ejected(), [], "{answer:?}");
            }
        }
    }
}

/// Proves: LB-61.
#[tokio::test]
async fn every_status_but_ok_is_a_failure_to_rates() {
    for code in [1, 3, 5, 14] {
        let address = raw::serve(move |_, respond| Answer::Status(code).send(respond)).await;
        let healthy = Endpoint::start("healthy").await;
        let detection = detecting_by(|detection| {
            detection.interval = Duration::from_millis(50);
            let rule =
                FailurePercentageEjection { minimum_hosts: 1, request_volume: 5, ..Default::default() };
            detection.failure_percentage = Some(rule);
        });
        let source = Source::new(detecting(detection), &[address, healthy.address]);
        let mut client = client(&Mesh::new(source.clone()));
        while source.ejected().is_empty() {
            call(&mut client).await.ok();
        }
        assert_eq!(source.ejected(), [address], "{code}");
    }
}

/// C06: an endpoint has nothing to do with calls that the circuit breaker refuses.
#[tokio::test]
async fn calls_that_the_client_refuses_do_not_count() {
    let endpoint = Endpoint::start("a").await;
    let settings = detecting(server_errors()).with_max_requests(MaxRequests(1));
    let source = Source::new(settings, &[endpoint.address]);
    let client = client(&Mesh::new(source.clone()));
    let mut held = client.clone();
    let held = tokio::spawn(async move { held.say_hello(asking("keep-open")).await });
    eventually("the call has arrived", || endpoint.calls() == 1).await;
    for _ in 0..10 {
        let status = call(&mut client.clone()).await.unwrap_err();
        assert!(status.message().contains("in flight"), "{status}");
    }
    held.abort();
    assert!(held.await.unwrap_err().is_cancelled());
    assert_eq!(call(&mut client.clone()).await.unwrap(), "a");
    assert_eq!(source.ejected(), []);
}

/// C07: losers of a hedge are cancelled. An endpoint that hangs is found all the same: a deadline that ends there counts.
#[tokio::test]
async fn cancelled_calls_do_not_count_and_overdue_ones_do() {
    let endpoint = Endpoint::start("a").await;
    let source = Source::new(detecting(server_errors()), &[endpoint.address]);
    let mut client = client(&Mesh::new(source.clone()));
    for number in 1..=10 {
        let mut abandoned = client.clone();
        let running = tokio::spawn(async move { abandoned.say_hello(asking("keep-open")).await });
        eventually("the call has arrived", || endpoint.calls() == number).await;
        running.abort();
        assert!(running.await.unwrap_err().is_cancelled());
    }
    call(&mut client).await.unwrap();
    assert_eq!(source.ejected(), []);
    for _ in 0..3 {
        let mut overdue = asking("keep-open");
        overdue.set_timeout(Duration::from_millis(20));
        client.say_hello(overdue).await.unwrap_err();
    }
    eventually("the endpoint is ejected", || source.ejected() == [endpoint.address]).await;
}

/// C01: with all out, no call reaches an endpoint.
#[tokio::test]
async fn calls_fail_as_unavailable_when_every_endpoint_is_ejected() {
    let endpoints = [Endpoint::start("a").await, Endpoint::start("b").await];
    let addresses = endpoints.each_ref().map(|endpoint| endpoint.address);
    let source = Source::new(detecting(server_errors()), &addresses);
    let mut client = client(&Mesh::new(source.clone()));
    while source.ejected().len() < 2 {
        client.say_hello(asking("error-code-13")).await.unwrap_err();
    }
    let arrived = || endpoints.iter().map(Endpoint::calls).sum::<usize>();
    let before = arrived();
    for _ in 0..10 {
        let status = call(&mut client).await.unwrap_err();
        assert_eq!(status.code(), Code::Unavailable);
        assert!(
            status.message().contains("ejected by outlier detection: 3 server errors in a row"),
            "{status}"
        );
    }
    assert_eq!(arrived(), before);
    // Switched off, everybody is back.
    source.configs.set("greeter", to(ClusterSettings::new("greeter"), &addresses));
    eventually("no endpoint is ejected", || source.ejected().is_empty()).await;
    call(&mut client).await.unwrap();
}
