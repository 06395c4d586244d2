//! Connections that end because their cluster says so, and the calls that come meanwhile.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use mesh_core::Mesh;
use mesh_core::config::{ClusterSettings, LbPolicy, MeshConfig, RingHash};
use mesh_tonic::ChannelState;
use mesh_tonic::MeshChannel;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::endpoint::Endpoint;
use crate::{Client, call, client, eventually, hello, raw};

/// An endpoint that counts the calls of each of its connections.
struct Counting {
    address: SocketAddr,
    calls: Arc<Mutex<Vec<u32>>>,
}

impl Counting {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let calls = Arc::new(Mutex::new(Vec::new()));
        let counts = calls.clone();
        tokio::spawn(async move {
            while let Ok((io, _)) = listener.accept().await {
                let counts = counts.clone();
                let number = counts.lock().unwrap().len();
                counts.lock().unwrap().push(0);
                tokio::spawn(async move {
                    let Ok(mut connection) = h2::server::handshake(io).await else { return };
                    while let Some(Ok((request, respond))) = connection.accept().await {
                        counts.lock().unwrap()[number] += 1;
                        raw::echo(request, respond);
                    }
                });
            }
        });
        Self { address, calls }
    }

    /// The calls of each connection, in the order in which they were made.
    fn calls(&self) -> Vec<u32> {
        self.calls.lock().unwrap().clone()
    }
}

/// The target `greeter` with one cluster of these settings.
fn mesh(addresses: &[SocketAddr], change: impl FnOnce(&mut ClusterSettings)) -> Mesh {
    let plain = MeshConfig::to_endpoints("greeter", addresses.iter().copied());
    let mut settings = ClusterSettings::new("greeter");
    change(&mut settings);
    let mut cluster = plain.clusters()["greeter"].clone().unwrap();
    cluster.settings = Arc::new(settings);
    let clusters = [("greeter".into(), Ok(cluster))].into();
    let config = MeshConfig::new(plain.virtual_hosts().to_vec(), clusters, None).unwrap();
    Mesh::fixed(config.for_target("greeter"))
}

#[tokio::test]
async fn no_call_fails_when_connections_carry_a_limited_number_of_calls() {
    for (limit, callers, each) in [(1, 1, 20), (1, 4, 10), (7, 8, 50)] {
        let endpoint = Counting::start().await;
        let mesh = mesh(&[endpoint.address], |settings| {
            settings.connection.max_requests = NonZeroU32::new(limit);
        });
        let client = client(&mesh);
        let mut calls = JoinSet::new();
        for _ in 0..callers {
            let mut client = client.clone();
            calls.spawn(async move {
                for _ in 0..each {
                    client.say_hello(hello("you")).await?;
                }
                Ok::<_, tonic::Status>(())
            });
        }
        while let Some(ended) = calls.join_next().await {
            ended.unwrap().unwrap();
        }
        let carried = endpoint.calls();
        assert_eq!(carried.iter().sum::<u32>(), callers * each, "each call is sent once: {carried:?}");
        let used: Vec<u32> = carried.into_iter().filter(|calls| *calls > 0).collect();
        let (_, earlier) = used.split_last().unwrap();
        assert!(earlier.iter().all(|calls| *calls == limit), "{used:?}");
    }
}

const POLICIES: [LbPolicy; 4] = [
    LbPolicy::RoundRobin,
    LbPolicy::LeastRequest { choice_count: 2 },
    LbPolicy::PickFirst { shuffle: false },
    LbPolicy::RingHash(RingHash::new(16, 16)),
];

/// Proves: CDS-17.
#[tokio::test]
async fn connections_without_calls_are_closed_and_made_again_for_the_next_call() {
    for policy in POLICIES {
        let endpoints = [Endpoint::start("a").await, Endpoint::start("b").await];
        let mesh = mesh(&endpoints.each_ref().map(|endpoint| endpoint.address), |settings| {
            settings.lb_policy = policy.clone();
            settings.connection.idle_timeout = Some(Duration::from_millis(50));
        });
        let channel = MeshChannel::builder("greeter").mesh(&mesh).build().unwrap();
        let mut client = Client::new(channel.clone());
        for _ in 0..3 {
            for _ in 0..4 {
                call(&mut client).await.unwrap();
            }
            let connections = || endpoints.iter().map(Endpoint::connections).sum::<usize>();
            eventually("no connection is left", || connections() == 0).await;
            eventually("the channel is idle", || channel.state() == ChannelState::Idle).await;
        }
        channel.warm_up(Duration::from_secs(10)).await.unwrap();
    }
}

/// Calls that come just when a connection is closed.
#[tokio::test]
async fn no_call_fails_at_the_end_of_an_idle_connection() {
    for policy in POLICIES {
        let endpoints = [Endpoint::start("a").await, Endpoint::start("b").await];
        let mesh = mesh(&endpoints.each_ref().map(|endpoint| endpoint.address), |settings| {
            settings.lb_policy = policy;
            settings.connection.idle_timeout = Some(Duration::from_millis(2));
        });
        let client = client(&mesh);
        let mut callers = JoinSet::new();
        for caller in 0..3 {
            let mut client = client.clone();
            callers.spawn(async move {
                for number in 0..60 {
                    call(&mut client).await?;
                    // The length of the pauses is what is tested, not waiting for anything.
                    tokio::time::sleep(Duration::from_micros(1_500 + 100 * ((number + caller) % 20))).await;
                }
                Ok::<_, tonic::Status>(())
            });
        }
        while let Some(ended) = callers.join_next().await {
            ended.unwrap().unwrap();
        }
    }
}
