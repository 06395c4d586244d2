//! The mesh's own calls to endpoints: reports of load apart from calls (gRFC A51, A58), and health (gRFC A17).

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use h2::server::SendResponse;
use http::{HeaderMap, Response};
use mesh_core::Mesh;
use mesh_core::config::{
    ClusterSettings, LbPolicy, MeshConfig, ReportedWeights, WeightSource, WeightedRoundRobin,
};
use tokio::sync::watch;
use tonic::{Code, Request};

use crate::{call, client, eventually, hello, raw};

/// What an endpoint does with a call of the mesh's own.
#[derive(Debug, Clone)]
enum Stream {
    /// Sends this message, and another one whenever it changes.
    Messages(watch::Receiver<Bytes>),
    /// Ends the stream with this status.
    Ends(u32),
    /// Sends nothing.
    Silent,
}

struct Endpoint {
    address: SocketAddr,
    calls: Arc<AtomicUsize>,
    streams: Arc<AtomicUsize>,
}

impl Endpoint {
    async fn start(stream: Stream) -> Self {
        let (calls, streams) = (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
        let counted = (calls.clone(), streams.clone());
        let address = raw::serve(move |request, respond| {
            if request.uri().path().starts_with("/mesh.examples") {
                counted.0.fetch_add(1, Ordering::Relaxed);
                return raw::succeed(respond);
            }
            counted.1.fetch_add(1, Ordering::Relaxed);
            tokio::spawn(answer(respond, stream.clone()));
        })
        .await;
        Self { address, calls, streams }
    }

    /// Sends this message to everyone who asks.
    async fn saying(message: Vec<u8>) -> (Self, watch::Sender<Bytes>) {
        let (say, said) = watch::channel(Bytes::from(message));
        (Self::start(Stream::Messages(said)).await, say)
    }

    fn take_calls(&self) -> usize {
        self.calls.swap(0, Ordering::Relaxed)
    }

    fn streams(&self) -> usize {
        self.streams.load(Ordering::Relaxed)
    }
}

async fn answer(mut respond: SendResponse<Bytes>, stream: Stream) {
    let head = Response::builder().header("content-type", "application/grpc").body(()).unwrap();
    let Ok(mut out) = respond.send_response(head, false) else { return };
    match stream {
        Stream::Messages(mut said) => loop {
            let message = said.borrow_and_update().clone();
            let framed = [&[0, 0, 0, 0, message.len() as u8][..], &message].concat();
            if out.send_data(framed.into(), false).is_err() || said.changed().await.is_err() {
                return;
            }
        },
        Stream::Ends(status) => {
            let mut trailers = HeaderMap::new();
            trailers.insert("grpc-status", status.into());
            out.send_trailers(trailers).ok();
        }
        Stream::Silent => std::future::pending().await,
    }
}

/// The target `greeter` with one cluster of these endpoints and settings.
fn mesh(endpoints: &[&Endpoint], settings: ClusterSettings) -> Mesh {
    let plain = MeshConfig::to_endpoints("greeter", endpoints.iter().map(|endpoint| endpoint.address));
    let mut cluster = plain.clusters()["greeter"].clone().unwrap();
    cluster.settings = Arc::new(settings);
    let clusters = [("greeter".into(), Ok(cluster))].into();
    let config = MeshConfig::new(plain.virtual_hosts().to_vec(), clusters, None).unwrap();
    Mesh::fixed(config.for_target("greeter"))
}

/// An ORCA report of 100 queries a second and this use of the application's capacity.
fn report(utilization: f64) -> Vec<u8> {
    [&[0x31][..], &100.0_f64.to_le_bytes(), &[0x49], &utilization.to_le_bytes()].concat()
}

/// C18
#[tokio::test]
async fn reports_apart_from_calls_decide_and_endpoints_without_them_have_the_mean() {
    let unimplemented = Endpoint::start(Stream::Ends(12)).await;
    let ending = Endpoint::start(Stream::Ends(14)).await;
    let ((idle, _idle), (busy, _busy)) =
        (Endpoint::saying(report(0.25)).await, Endpoint::saying(report(1.0)).await);
    let mut weights = ReportedWeights::default();
    (weights.blackout, weights.update_period) = (Duration::ZERO, Duration::from_millis(100));
    weights.out_of_band = Some(Duration::from_secs(10));
    let policy = LbPolicy::WeightedRoundRobin(WeightedRoundRobin::new(WeightSource::Reported(weights)));
    let endpoints = [&unimplemented, &ending, &idle, &busy];
    let mut client = client(&mesh(&endpoints, ClusterSettings::new("greeter").with_lb_policy(policy)));
    // 400, 100 and twice the mean
    let is_expected =
        |shares: &[usize]| shares.iter().zip([25, 25, 40, 10]).all(|(share, of)| share.abs_diff(of) <= 2);
    let mut shares = Vec::new();
    for _ in 0..200 {
        for _ in 0..100 {
            call(&mut client).await.unwrap();
        }
        shares = endpoints.map(Endpoint::take_calls).to_vec();
        if is_expected(&shares) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(is_expected(&shares), "{shares:?}");
    assert_eq!((unimplemented.streams(), idle.streams(), busy.streams()), (1, 1, 1));
    eventually("it is asked again", || ending.streams() >= 2).await;
}

/// Case C39.
/// Proves: LB-63.
#[tokio::test]
async fn endpoints_take_calls_only_if_they_say_that_they_are_healthy() {
    let (serving, say) = Endpoint::saying(vec![8, 1]).await;
    let unimplemented = Endpoint::start(Stream::Ends(12)).await;
    let unknown = Endpoint::start(Stream::Ends(2)).await;
    let denied = Endpoint::start(Stream::Ends(7)).await;
    let silent = Endpoint::start(Stream::Silent).await;
    let endpoints = [&serving, &unimplemented, &unknown, &denied, &silent];
    let settings = ClusterSettings::new("greeter").with_service_health("mesh.examples.v1.Greeter");
    let mut client = client(&mesh(&endpoints, settings));
    let mut calls = Vec::new();
    for _ in 0..500 {
        for _ in 0..20 {
            call(&mut client).await.unwrap();
        }
        calls = endpoints.map(Endpoint::take_calls).to_vec();
        if calls == [10, 10, 0, 0, 0] {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(calls, [10, 10, 0, 0, 0]);
    eventually("they are asked again", || unknown.streams() >= 2 && denied.streams() >= 2).await;
    assert_eq!((unimplemented.streams(), serving.streams(), silent.streams()), (1, 1, 1));
    say.send_replace(Bytes::from_static(&[8, 2]));
    for _ in 0..500 {
        for _ in 0..20 {
            call(&mut client).await.unwrap();
        }
        calls = endpoints.map(Endpoint::take_calls).to_vec();
        if calls == [0, 20, 0, 0, 0] {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(calls, [0, 20, 0, 0, 0], "its connection stays, and it takes no calls");
    say.send_replace(Bytes::from_static(&[8, 1]));
    let mut returned = 0;
    while returned == 0 {
        call(&mut client).await.unwrap();
        returned = serving.take_calls();
    }
    assert_eq!(serving.streams(), 1);
}

/// C39
#[tokio::test]
async fn calls_wait_for_an_endpoint_that_says_nothing_and_fail_with_what_another_says() {
    let settings = || ClusterSettings::new("greeter").with_service_health("");
    let silent = Endpoint::start(Stream::Silent).await;
    let mut waiting = client(&mesh(&[&silent], settings()));
    let mut request = Request::new(hello("you"));
    request.set_timeout(Duration::from_millis(300));
    let status = waiting.say_hello(request).await.unwrap_err();
    assert_eq!((status.code(), silent.take_calls()), (Code::DeadlineExceeded, 0), "{status}");
    let denied = Endpoint::start(Stream::Ends(7)).await;
    let mut failing = client(&mesh(&[&denied], settings()));
    let status = call(&mut failing).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    assert!(status.message().contains("the stream ended with gRPC status 7"), "{status}");
}
