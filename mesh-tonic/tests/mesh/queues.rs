//! Calls that find the connections to their endpoint full.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use mesh_core::Mesh;
use mesh_core::config::MeshConfig;
use mesh_core::runtime::{
    ConfigSource, ConfigWatch, FixedSource, FullEndpoints, MaxQueued, PoolSettings, QueueSettings,
    QueueStore, QueuedCalls, SourceError, Target,
};
use mesh_tonic::MeshErrorKind;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tonic::{Code, Status};

use crate::{Client, client, eventually, hello, kind, raw};

/// An endpoint that takes one call of a connection at a time, and answers as many as it is told to.
pub(crate) struct Slow {
    pub(crate) address: SocketAddr,
    calls: Arc<AtomicUsize>,
    connections: Arc<AtomicUsize>,
    answers: Arc<Semaphore>,
}

impl Slow {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (calls, answers) = (Arc::new(AtomicUsize::new(0)), Arc::new(Semaphore::new(0)));
        let connections = Arc::<AtomicUsize>::default();
        let slow = Self {
            address,
            calls: calls.clone(),
            connections: connections.clone(),
            answers: answers.clone(),
        };
        tokio::spawn(async move {
            while let Ok((io, _)) = listener.accept().await {
                connections.fetch_add(1, Ordering::SeqCst);
                let (calls, answers) = (calls.clone(), answers.clone());
                tokio::spawn(async move {
                    let handshake = h2::server::Builder::new().max_concurrent_streams(1).handshake(io);
                    let Ok(mut connection) = handshake.await else { return };
                    while let Some(Ok((request, respond))) = connection.accept().await {
                        calls.fetch_add(1, Ordering::SeqCst);
                        let answers = answers.clone();
                        tokio::spawn(async move {
                            answers.acquire().await.unwrap().forget();
                            raw::echo(request, respond);
                        });
                    }
                });
            }
        });
        slow
    }

    pub(crate) fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }

    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    pub(crate) fn answer(&self, calls: usize) {
        self.answers.add_permits(calls);
    }
}

/// Shows how many calls wait.
#[derive(Debug, Clone)]
pub(crate) struct Source(pub(crate) FixedSource, pub(crate) Arc<QueueStore>);

impl ConfigSource for Source {
    fn watch(&self, target: &Target) -> Result<ConfigWatch, SourceError> {
        self.0.watch(target)
    }

    fn queues(&self) -> Option<Arc<QueueStore>> {
        Some(self.1.clone())
    }
}

struct World {
    endpoints: Vec<Slow>,
    queues: Arc<QueueStore>,
    client: Client,
    _mesh: Mesh,
}

impl World {
    async fn start(endpoints: usize, change: impl FnOnce(&mut QueueSettings)) -> Self {
        let mut slow = Vec::new();
        for _ in 0..endpoints {
            slow.push(Slow::start().await);
        }
        let config = MeshConfig::to_endpoints("greeter", slow.iter().map(|endpoint| endpoint.address));
        let source = Source(FixedSource::only(config), Arc::default());
        let mut settings = PoolSettings::default();
        change(&mut settings.queue);
        let mesh = Mesh::builder(source.clone()).connections(settings).build();
        let client = client(&mesh);
        let world = Self { endpoints: slow, queues: source.1, client, _mesh: mesh };
        world.until_all_are_ready().await;
        world
    }

    /// Calls until every endpoint has been picked.
    async fn until_all_are_ready(&self) {
        self.endpoints.iter().for_each(|endpoint| endpoint.answer(1_000));
        while self.endpoints.iter().any(|endpoint| endpoint.calls() == 0) {
            self.call().await.unwrap().unwrap();
        }
        for Slow { calls, answers, .. } in &self.endpoints {
            calls.store(0, Ordering::SeqCst);
            answers.forget_permits(1_000);
        }
    }

    fn call(&self) -> JoinHandle<Result<(), Status>> {
        let mut client = self.client.clone();
        tokio::spawn(async move { client.say_hello(hello("you")).await.map(drop) })
    }

    async fn until_queued(&self, calls: u64) {
        let expected = [QueuedCalls::new("greeter", calls)];
        eventually(&format!("{calls} calls wait"), || self.queues.clusters() == expected).await;
    }

    async fn until_served(&self, endpoint: usize, calls: usize) {
        eventually("the calls arrive", || self.endpoints[endpoint].calls() == calls).await;
    }
}

#[tokio::test]
async fn calls_that_wait_are_counted_until_they_are_sent_or_given_up() {
    let world = World::start(1, |_| {}).await;
    let mut calls = vec![world.call()];
    world.until_served(0, 1).await;
    world.until_queued(0).await;
    calls.extend((0..5).map(|_| world.call()));
    world.until_queued(5).await;
    world.endpoints[0].answer(2);
    world.until_queued(3).await;
    let given_up = calls.pop().unwrap();
    given_up.abort();
    world.endpoints[0].answer(10);
    world.until_queued(0).await;
    let served = calls.len();
    for call in calls {
        call.await.unwrap().unwrap();
    }
    assert!((served..=served + 1).contains(&world.endpoints[0].calls()));
}

#[tokio::test]
async fn no_more_calls_wait_at_an_endpoint_than_the_mesh_allows() {
    for allowed in [0, 1, 3] {
        let world = World::start(1, |queue| queue.max_queued = MaxQueued(allowed)).await;
        let mut calls = vec![world.call()];
        world.until_served(0, 1).await;
        calls.extend((0..allowed).map(|_| world.call()));
        world.until_queued(allowed.into()).await;
        let refused = world.call().await.unwrap().unwrap_err();
        assert_eq!((refused.code(), kind(&refused)), (Code::Unavailable, Some(MeshErrorKind::QueueFull)));
        assert!(refused.message().contains(&format!("{allowed} calls wait for room")), "{refused}");
        world.endpoints[0].answer(calls.len());
        for call in calls {
            call.await.unwrap().unwrap();
        }
        assert_eq!(world.endpoints[0].calls(), allowed as usize + 1);
    }
}

/// One call runs at an endpoint, which is full then. Returns it, and the other one, which answers.
async fn with_one_full(world: &World) -> (usize, usize, JoinHandle<Result<(), Status>>) {
    let running = world.call();
    let served = |endpoint: &Slow| endpoint.calls() == 1;
    eventually("the call arrives", || world.endpoints.iter().any(served)).await;
    let full = world.endpoints.iter().position(served).unwrap();
    world.endpoints[1 - full].answer(100);
    (full, 1 - full, running)
}

#[tokio::test]
async fn full_endpoint_is_passed_over() {
    let world = World::start(2, |_| {}).await;
    let (full, other, running) = with_one_full(&world).await;
    for _ in 0..4 {
        world.call().await.unwrap().unwrap();
    }
    assert_eq!((world.endpoints[full].calls(), world.endpoints[other].calls()), (1, 4));
    world.endpoints[full].answer(1);
    running.await.unwrap().unwrap();
}

#[tokio::test]
async fn call_waits_at_the_endpoint_that_is_picked_where_full_ones_are_not_passed_over() {
    let world = World::start(2, |queue| queue.full_endpoints = FullEndpoints::Wait).await;
    let (full, other, running) = with_one_full(&world).await;
    let calls: Vec<_> = (0..4).map(|_| world.call()).collect();
    world.until_served(other, 2).await;
    world.until_queued(2).await;
    assert_eq!(world.endpoints[full].calls(), 1);
    world.endpoints[full].answer(3);
    for call in calls.into_iter().chain([running]) {
        call.await.unwrap().unwrap();
    }
    assert_eq!((world.endpoints[full].calls(), world.endpoints[other].calls()), (3, 2));
}
