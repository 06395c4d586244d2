//! The calls that misbehave.

use std::future::Future;
use std::task::{Context, Waker};
use std::time::Duration;

use clap::ValueEnum;
use examples::greeter::HelloRequest;
use examples::greeter::greeter_client::GreeterClient;
use tokio::task::JoinSet;
use tonic::Request;

use super::peers::Service;

/// How calls misbehave.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    /// Server streams whose client does not read them.
    Unread,
    /// Calls that are cancelled before their answer comes.
    Cancelled,
    /// Uploads that the server does not read.
    Stalled,
    /// Many calls at once that are given up at once.
    Resets,
}

impl Kind {
    pub(crate) const ALL: [Self; 4] = [Self::Unread, Self::Cancelled, Self::Stalled, Self::Resets];

    /// Misbehaves in this way until it is dropped.
    async fn run<S: Service>(self, client: GreeterClient<S>) {
        match self {
            Self::Unread => repeat(UNREAD_STREAMS, UNREAD_FOR, || unread(client.clone())).await,
            Self::Cancelled => cancelled(client).await,
            Self::Stalled => repeat(STALLED_UPLOADS, STALLED_FOR, || stalled(client.clone())).await,
            Self::Resets => resets(client).await,
        }
    }
}

/// Starts the offenders. They end when the set is dropped.
pub(crate) fn start<S: Service>(client: &GreeterClient<S>, kinds: &[Kind]) -> JoinSet<()> {
    let mut offenders = JoinSet::new();
    for kind in kinds {
        offenders.spawn(kind.run(client.clone()));
    }
    offenders
}

/// Keeps so many calls of this duration running. They begin one after the other, as they do later.
async fn repeat<F: Future<Output = ()> + Send + 'static>(
    count: u32,
    duration: Duration,
    call: impl Fn() -> F,
) {
    let mut begins = tokio::time::interval(duration / count);
    let mut calls = JoinSet::new();
    loop {
        begins.tick().await;
        calls.spawn(call());
        while calls.try_join_next().is_some() {}
    }
}

async fn unread<S: Service>(mut client: GreeterClient<S>) {
    let replies = client.say_hellos(HelloRequest { name: "x".repeat(REPLY), count: REPLIES }).await;
    tokio::time::sleep(UNREAD_FOR).await;
    drop(replies);
}

async fn cancelled<S: Service>(client: GreeterClient<S>) {
    let mut ticks = tokio::time::interval(Duration::from_millis(1));
    let mut calls = JoinSet::new();
    loop {
        ticks.tick().await;
        let mut client = client.clone();
        calls.spawn(async move {
            let mut request = Request::new(hello());
            request
                .metadata_mut()
                .insert(BEHAVIOR, tonic::metadata::MetadataValue::from_static("sleep-40ms"));
            let _ = tokio::time::timeout(Duration::from_millis(20), client.say_hello(request)).await;
        });
        while calls.try_join_next().is_some() {}
    }
}

async fn stalled<S: Service>(mut client: GreeterClient<S>) {
    let chunks = (0..UPLOAD / CHUNK).map(|_| HelloRequest { name: "x".repeat(CHUNK), count: 0 });
    let mut request = Request::new(tokio_stream::iter(chunks));
    request.metadata_mut().insert(BEHAVIOR, tonic::metadata::MetadataValue::from_static("keep-open"));
    // An upload that fails at once is not to be repeated without end.
    let end = tokio::time::sleep(STALLED_FOR);
    let _ = tokio::time::timeout(STALLED_FOR, client.gather_hellos(request)).await;
    end.await;
}

async fn resets<S: Service>(client: GreeterClient<S>) {
    let mut ticks = tokio::time::interval(Duration::from_millis(100));
    let mut overdue = JoinSet::new();
    loop {
        ticks.tick().await;
        let mut given_up = Vec::new();
        for _ in 0..RESETS / 2 {
            let mut impatient = client.clone();
            let mut call = Box::pin(async move { impatient.say_hello(hello()).await });
            let _ = call.as_mut().poll(&mut Context::from_waker(Waker::noop()));
            given_up.push(call);
            let mut client = client.clone();
            overdue.spawn(async move {
                let mut request = Request::new(hello());
                request.set_timeout(Duration::from_micros(1));
                let _ = client.say_hello(request).await;
            });
        }
        drop(given_up);
        while overdue.try_join_next().is_some() {}
    }
}

fn hello() -> HelloRequest {
    HelloRequest { name: "neighbour".to_owned(), count: 0 }
}

/// The metadata by which the greeter is told how to behave.
const BEHAVIOR: &str = "rpc-behavior";

const UNREAD_STREAMS: u32 = 40;
const UNREAD_FOR: Duration = Duration::from_secs(10);
const REPLIES: u32 = 1_000_000;
const REPLY: usize = 1 << 10;

const STALLED_UPLOADS: u32 = 4;
const STALLED_FOR: Duration = Duration::from_secs(5);
const UPLOAD: usize = 32 << 20;
const CHUNK: usize = 64 << 10;

/// At once, ten times per second.
const RESETS: usize = 400;
