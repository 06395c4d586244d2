//! All four kinds of calls.

use examples::greeter::HelloRequest;
use mesh_core::Mesh;
use mesh_core::config::MeshConfig;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use crate::endpoint::Endpoint;
use crate::{client, hello};

#[tokio::test]
async fn unary_and_streaming_calls_of_every_kind_work() {
    let endpoint = Endpoint::start("a").await;
    let mesh = Mesh::fixed(MeshConfig::to_endpoints("greeter", [endpoint.address]));
    let mut client = client(&mesh);

    let reply = client.say_hello(hello("unary")).await.unwrap().into_inner();
    assert_eq!((reply.message.as_str(), reply.endpoint.as_str()), ("hello unary", "a"));

    let many = HelloRequest { name: "many".to_owned(), count: 300 };
    let mut replies = client.say_hellos(many).await.unwrap().into_inner();
    let mut count = 0;
    while let Some(reply) = replies.message().await.unwrap() {
        assert_eq!(reply.message, "hello many");
        count += 1;
    }
    assert_eq!(count, 300);

    let names = tokio_stream::iter(["x", "y", "z"].map(hello));
    let reply = client.gather_hellos(names).await.unwrap().into_inner();
    assert_eq!(reply.message, "hello x, y, z");

    let (sender, names) = mpsc::channel(1);
    let mut replies = client.chat(ReceiverStream::new(names)).await.unwrap().into_inner();
    for name in ["to", "and", "fro"] {
        sender.send(hello(name)).await.unwrap();
        assert_eq!(replies.message().await.unwrap().unwrap().message, format!("hello {name}"));
    }
    drop(sender);
    assert!(replies.message().await.unwrap().is_none());
    assert_eq!(endpoint.connections(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_can_be_spawned_and_clients_cloned() {
    let endpoint = Endpoint::start("a").await;
    let mesh = Mesh::fixed(MeshConfig::to_endpoints("greeter", [endpoint.address]));
    let client = client(&mesh);
    let calls: Vec<_> = (0..50)
        .map(|_| {
            let mut client = client.clone();
            tokio::spawn(async move { client.say_hello(hello("task")).await.map(|reply| reply.into_inner()) })
        })
        .collect();
    for call in calls {
        assert_eq!(call.await.unwrap().unwrap().endpoint, "a");
    }
    assert_eq!(endpoint.connections(), 1);
}

#[tokio::test]
async fn large_messages_go_both_ways() {
    let endpoint = Endpoint::start("a").await;
    let mesh = Mesh::fixed(MeshConfig::to_endpoints("greeter", [endpoint.address]));
    let name = "x".repeat(3 << 20);
    let reply = client(&mesh).say_hello(hello(&name)).await.unwrap().into_inner();
    assert_eq!(reply.message.len(), name.len() + "hello ".len());
}
