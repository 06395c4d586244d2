//! Connections that end because their cluster says so, and the calls that come meanwhile.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex};

use mesh_core::Mesh;
use mesh_core::config::{ClusterSettings, ConnectionSettings, MeshConfig};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::{client, hello, raw};

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

/// The target `greeter` with one cluster of these connections.
fn mesh(address: SocketAddr, change: impl FnOnce(&mut ConnectionSettings)) -> Mesh {
    let plain = MeshConfig::to_endpoints("greeter", [address]);
    let mut settings = ClusterSettings::new("greeter");
    change(&mut settings.connection);
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
        let mesh = mesh(endpoint.address, |connection| connection.max_requests = NonZeroU32::new(limit));
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
