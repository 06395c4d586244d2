//! Load-balancing policies, over sockets: which endpoints take the calls.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use h2::server::SendResponse;
use http::{HeaderMap, Response};
use mesh_core::Mesh;
use mesh_core::config::{
    ClusterSettings, LbPolicy, Maglev, MeshConfig, ReportedWeights, RingHash, WeightSource,
    WeightedRoundRobin,
};
use mesh_core::runtime::FixedSource;
use mesh_core::runtime::connect::{ConnectTarget, Dial, Tcp};
use tokio::net::TcpStream;

use crate::endpoint::Endpoint;
use crate::{call, client, raw};

/// An endpoint that counts its calls, and says with each answer how busy it is.
struct Reporting {
    address: SocketAddr,
    calls: Arc<AtomicUsize>,
}

impl Reporting {
    async fn start(report: &'static str) -> Self {
        let calls = Arc::<AtomicUsize>::default();
        let counted = calls.clone();
        let address = raw::serve(move |_, respond| {
            counted.fetch_add(1, Ordering::Relaxed);
            answer(respond, report);
        })
        .await;
        Self { address, calls }
    }

    fn take_calls(&self) -> usize {
        self.calls.swap(0, Ordering::Relaxed)
    }
}

fn answer(mut respond: SendResponse<Bytes>, report: &str) {
    let head = Response::builder().header("content-type", "application/grpc").body(()).unwrap();
    let mut stream = respond.send_response(head, false).unwrap();
    stream.send_data(Bytes::from_static(&[0; 5]), false).unwrap();
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", "0".parse().unwrap());
    trailers.insert("endpoint-load-metrics-bin", report.parse().unwrap());
    stream.send_trailers(trailers).unwrap();
}

/// The target `greeter` with one cluster of this policy.
fn config(addresses: &[SocketAddr], policy: LbPolicy) -> MeshConfig {
    let plain = MeshConfig::to_endpoints("greeter", addresses.iter().copied());
    let mut cluster = plain.clusters()["greeter"].clone().unwrap();
    cluster.settings = Arc::new(ClusterSettings::new("greeter").with_lb_policy(policy));
    let clusters = [("greeter".into(), Ok(cluster))].into();
    let config = MeshConfig::new(plain.virtual_hosts().to_vec(), clusters, None).unwrap();
    config.for_target("greeter")
}

fn mesh(addresses: &[SocketAddr], policy: LbPolicy) -> Mesh {
    Mesh::fixed(config(addresses, policy))
}

/// TCP, and how often it was asked to connect.
#[derive(Debug, Clone, Default)]
struct Counted(Arc<AtomicUsize>);

impl Dial for Counted {
    type Io = TcpStream;

    async fn dial(&self, target: &ConnectTarget) -> std::io::Result<TcpStream> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Tcp.dial(target).await
    }
}

/// 100 queries a second, a quarter of the capacity in use.
const IDLE: &str = "MQAAAAAAAFlASQAAAAAAANA/";
/// 100 queries a second, all of the capacity in use.
const BUSY: &str = "MQAAAAAAAFlASQAAAAAAAPA/";

/// LB-44, LB-46: reports in trailers decide.
#[tokio::test]
async fn endpoint_that_reports_less_load_takes_more_calls() {
    let (idle, busy) = (Reporting::start(IDLE).await, Reporting::start(BUSY).await);
    let mut weights = ReportedWeights::default();
    (weights.blackout, weights.update_period) = (Duration::ZERO, Duration::from_millis(100));
    let policy = LbPolicy::WeightedRoundRobin(WeightedRoundRobin::new(WeightSource::Reported(weights)));
    let mut client = client(&mesh(&[idle.address, busy.address], policy));
    let mut shares = (0, 0);
    for _ in 0..200 {
        for _ in 0..50 {
            call(&mut client).await.unwrap();
        }
        shares = (idle.take_calls(), busy.take_calls());
        if (39..=41).contains(&shares.0) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(shares.0 + shares.1, 50);
    assert!((39..=41).contains(&shares.0), "4 of 5 calls: {shares:?}");
}

/// Case C20: the call keeps its random hash while it waits.
///
/// Proves: RT-73.
#[tokio::test]
async fn call_without_a_hash_connects_one_endpoint() {
    const ENDPOINTS: usize = 4;
    let mut endpoints = Vec::new();
    for number in 0..ENDPOINTS {
        endpoints.push(Endpoint::start(&number.to_string()).await);
    }
    let addresses: Vec<_> = endpoints.iter().map(|endpoint| endpoint.address).collect();
    for policy in [LbPolicy::RingHash(RingHash::new(1024, 4096)), LbPolicy::Maglev(Maglev::default())] {
        for _ in 0..20 {
            let dialed = Counted::default();
            let mesh = Mesh::builder(FixedSource::any(config(&addresses, policy.clone())))
                .dialer(dialed.clone())
                .build();
            call(&mut client(&mesh)).await.unwrap();
            assert_eq!(dialed.0.load(Ordering::Relaxed), 1, "{policy:?}");
        }
        let before: Vec<_> = endpoints.iter().map(Endpoint::calls).collect();
        let mut client = client(&mesh(&addresses, policy.clone()));
        for _ in 0..400 {
            call(&mut client).await.unwrap();
        }
        for (endpoint, before) in endpoints.iter().zip(before) {
            let share = endpoint.calls() - before;
            assert!((40..=160).contains(&share), "about 100 of 400: {share}, {policy:?}");
        }
    }
}
