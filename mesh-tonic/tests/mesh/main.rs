//! Generated clients over `MeshChannel`, against real endpoints on loopback.
#![expect(clippy::unwrap_used, reason = "tests")]

mod aggregates;
mod call_info;
mod channels;
mod circuit_breaker;
mod client_status;
mod config;
mod connection_lifetime;
mod custom_balancer;
mod deadlines;
mod endpoint;
mod endpoint_streams;
mod errors;
mod failover;
mod faults;
mod filters;
mod headers;
mod health_checks;
mod hedging;
mod kinds;
mod layers;
mod lifetime;
mod limits;
mod load_reports;
mod mirrors;
mod outliers;
mod per_try;
mod policies;
mod proxies;
mod queues;
mod raw;
mod replay;
mod retries;
mod rewrites;
mod routing;
mod scripted;
mod sessions;
mod tls;
mod warm_up;
mod wire;

use examples::greeter::HelloRequest;
use examples::greeter::greeter_client::GreeterClient;
use mesh_core::Mesh;
use mesh_tonic::{MeshChannel, MeshError, MeshErrorKind};
use tonic::{Request, Status};

type Client = GreeterClient<MeshChannel>;

/// A client of the target `greeter` of a mesh.
fn client(mesh: &Mesh) -> Client {
    GreeterClient::new(MeshChannel::builder("greeter").mesh(mesh).build().unwrap())
}

fn hello(name: &str) -> HelloRequest {
    HelloRequest { name: name.to_owned(), count: 0 }
}

/// A request whose endpoints are to behave like this.
fn asking(behavior: &'static str) -> Request<HelloRequest> {
    let mut request = Request::new(hello("you"));
    request.metadata_mut().insert("rpc-behavior", behavior.parse().unwrap());
    request
}

/// One call; which endpoint answered.
async fn call(client: &mut Client) -> Result<String, Status> {
    client.say_hello(hello("you")).await.map(|reply| reply.into_inner().endpoint)
}

/// So many callers at the same time, each with so many calls one after the other. All calls must succeed.
async fn calls(client: &Client, callers: usize, each: usize) {
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..callers {
        let mut client = client.clone();
        tasks.spawn(async move {
            for _ in 0..each {
                call(&mut client).await.expect("an answer");
            }
        });
    }
    tasks.join_all().await;
}

/// What of the mesh has failed a call.
fn kind(status: &Status) -> Option<MeshErrorKind> {
    let source = std::error::Error::source(status)?;
    source.downcast_ref::<MeshError>().map(MeshError::kind)
}

/// Calls until the cluster has no endpoint any more.
async fn until_no_endpoint(client: &mut Client) -> Status {
    for _ in 0..1000 {
        match call(client).await {
            Err(status) if kind(&status) == Some(MeshErrorKind::NoEndpoint) => return status,
            _ => tokio::time::sleep(std::time::Duration::from_millis(10)).await,
        }
    }
    panic!("it never failed");
}

/// Waits for something that is to become true soon.
async fn eventually(what: &str, mut is_true: impl FnMut() -> bool) {
    for _ in 0..1000 {
        if is_true() {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("it never came true that {what}");
}
