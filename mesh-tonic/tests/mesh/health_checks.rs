//! Active health checks of real endpoints.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use h2::server::SendResponse;
use http::{HeaderMap, Response};
use mesh_core::Mesh;
use mesh_core::config::{
    ClusterSettings, EndpointCheck, HealthCheck, HealthCheckIntervals, HealthProbe, HttpProbe, MeshConfig,
    TcpProbe,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tonic::Code;

use crate::{call, client, eventually, raw};

/// An endpoint that answers health checks with a status of `grpc.health.v1`.
#[derive(Clone)]
struct Endpoint {
    address: SocketAddr,
    calls: Arc<AtomicUsize>,
    checks: Arc<AtomicUsize>,
    health: Arc<AtomicU8>,
}

impl Endpoint {
    async fn start(health: u8) -> Self {
        let endpoint = Self {
            address: ([127, 0, 0, 1], 1).into(),
            calls: Arc::default(),
            checks: Arc::default(),
            health: Arc::new(AtomicU8::new(health)),
        };
        let mine = endpoint.clone();
        let address = raw::serve(move |request, respond| {
            if request.uri().path().starts_with("/mesh.examples") {
                mine.calls.fetch_add(1, Ordering::Relaxed);
                return raw::succeed(respond);
            }
            mine.checks.fetch_add(1, Ordering::Relaxed);
            assert_eq!(request.headers()["user-agent"], "Envoy/HC");
            match request.uri().path() {
                "/grpc.health.v1.Health/Check" => answer(respond, mine.health.load(Ordering::Relaxed)),
                _ => {
                    let status = u16::from(mine.health.load(Ordering::Relaxed)) * 100;
                    let mut respond = respond;
                    drop(respond.send_response(Response::builder().status(status).body(()).unwrap(), true));
                }
            }
        })
        .await;
        Self { address, ..endpoint }
    }

    fn take_calls(&self) -> usize {
        self.calls.swap(0, Ordering::Relaxed)
    }
}

fn answer(mut respond: SendResponse<Bytes>, health: u8) {
    let head = Response::builder().header("content-type", "application/grpc").body(()).unwrap();
    let mut out = respond.send_response(head, false).unwrap();
    out.send_data(Bytes::copy_from_slice(&[0, 0, 0, 0, 2, 8, health]), false).unwrap();
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", 0.into());
    out.send_trailers(trailers).unwrap();
}

/// Every 20 ms.
fn check(probe: HealthProbe) -> HealthCheck {
    let mut check = HealthCheck::new(probe, Duration::from_secs(60), Duration::from_millis(20));
    check.intervals = HealthCheckIntervals::every(Duration::from_millis(20));
    check.intervals.no_traffic = Duration::from_millis(20);
    check.intervals.no_traffic_healthy = Duration::from_millis(20);
    (check.unhealthy_threshold, check.healthy_threshold) = (1, 1);
    check
}

fn mesh(endpoints: impl IntoIterator<Item = mesh_core::config::Endpoint>, check: HealthCheck) -> Mesh {
    use mesh_core::config::{Cluster, Discovery, EndpointSet, Locality, Priority};

    let set =
        EndpointSet::new(vec![Priority::new([Arc::new(Locality::of(endpoints.into_iter().collect()))])]);
    let settings = ClusterSettings::new("greeter").with_health_check(check);
    let cluster = Cluster::new(settings, Discovery::Endpoints(Ok(Arc::new(set))));
    let plain = MeshConfig::to_endpoints("greeter", []);
    let clusters = [("greeter".into(), Ok(cluster))].into();
    let config = MeshConfig::new(plain.virtual_hosts().to_vec(), clusters, None).unwrap();
    Mesh::fixed(config.for_target("greeter"))
}

fn at(address: SocketAddr) -> mesh_core::config::Endpoint {
    mesh_core::config::Endpoint::new(address)
}

/// Calls until the endpoints have got these shares of 20.
async fn until_shares<const N: usize>(mesh: &Mesh, endpoints: [&Endpoint; N], expected: [usize; N]) {
    let mut client = client(mesh);
    let mut calls = [0; N];
    for _ in 0..3_000 {
        for _ in 0..20 {
            call(&mut client).await.unwrap();
        }
        calls = endpoints.map(Endpoint::take_calls);
        if calls == expected {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{calls:?}, expected {expected:?}");
}

/// Proves: LB-64.
#[tokio::test]
async fn endpoints_take_calls_while_they_say_serving() {
    let (first, second) = (Endpoint::start(1).await, Endpoint::start(2).await);
    let mesh = mesh([at(first.address), at(second.address)], check(HealthProbe::grpc("mesh.Greeter")));
    until_shares(&mesh, [&first, &second], [20, 0]).await;
    second.health.store(1, Ordering::Relaxed);
    until_shares(&mesh, [&first, &second], [10, 10]).await;
    first.health.store(2, Ordering::Relaxed);
    until_shares(&mesh, [&first, &second], [0, 20]).await;
    second.health.store(0, Ordering::Relaxed);
    let mut client = client(&mesh);
    let status = loop {
        if let Err(status) = call(&mut client).await {
            break status;
        }
    };
    assert_eq!(status.code(), Code::Unavailable);
    assert!(status.message().contains("its health check fails: "), "{status}");
}

/// Proves: LB-64.
#[tokio::test]
async fn http2_checks_go_by_the_status() {
    let (good, bad) = (Endpoint::start(2).await, Endpoint::start(5).await);
    let probe = HealthProbe::http2("/healthy".parse().unwrap());
    let mesh = mesh([at(good.address), at(bad.address)], check(probe));
    let _client = client(&mesh);
    until_shares(&mesh, [&good, &bad], [20, 0]).await;
    eventually("both are asked again", || {
        [&good, &bad].iter().all(|endpoint| endpoint.checks.load(Ordering::Relaxed) >= 3)
    })
    .await;
}

/// A plaintext server that reads once from each connection, and answers with this.
async fn serve_bytes(answer: &'static [u8]) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let Ok((mut stream, _)) = listener.accept().await else { return };
            tokio::spawn(async move {
                let mut asked = [0; 1024];
                let _ = stream.read(&mut asked).await;
                let _ = stream.write_all(answer).await;
            });
        }
    });
    address
}

fn checked_at(endpoint: &Endpoint, other: SocketAddr) -> mesh_core::config::Endpoint {
    let mut check = EndpointCheck::default();
    check.port = Some(other.port());
    at(endpoint.address).with_health_check(check)
}

/// Proves: LB-64.
#[tokio::test]
async fn other_ports_are_checked_by_http1_and_tcp() {
    let mut tcp = TcpProbe::default();
    (tcp.sent, tcp.expected) = (Bytes::from("PING\r\n"), vec![Bytes::from("HTTP/1.1 204")]);
    let mut http = HttpProbe::get("/healthy".parse().unwrap());
    http.expected[0].end = 300;
    for probe in [HealthProbe::Http(http), HealthProbe::Tcp(tcp)] {
        let (first, second) = (Endpoint::start(1).await, Endpoint::start(1).await);
        let good = serve_bytes(b"HTTP/1.1 204 No Content\r\n\r\n").await;
        let bad = serve_bytes(b"HTTP/1.1 500 Internal Server Error\r\n\r\n").await;
        let mesh = mesh([checked_at(&first, good), checked_at(&second, bad)], check(probe));
        until_shares(&mesh, [&first, &second], [20, 0]).await;
    }
}

/// Proves: LB-64.
#[tokio::test]
async fn tcp_check_without_a_conversation_only_connects() {
    let (first, second) = (Endpoint::start(1).await, Endpoint::start(1).await);
    let dead = mesh_core::testing::reserved_address();
    let open = serve_bytes(b"").await;
    let mesh = mesh(
        [checked_at(&first, open), checked_at(&second, dead)],
        check(HealthProbe::Tcp(TcpProbe::default())),
    );
    until_shares(&mesh, [&first, &second], [20, 0]).await;
}
