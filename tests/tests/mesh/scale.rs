//! Many channels, and clusters that come and go.

use mesh_tonic::MeshChannel;
use serde_json::Value;
use tests::load::Load;
use tests::mesh::MeshClient;
use tests::yaml::{self, Endpoint};
use tests::{ConfigDir, ControlServer, Greeter, eventually};
use tokio::runtime::Handle;

async fn one_greeter() -> (ControlServer, Greeter) {
    let greeter = Greeter::start("only", "v1").await;
    let config = ConfigDir::new();
    config.write("service.yaml", &yaml::service(&[Endpoint::new(greeter.address, "v1")]));
    (ControlServer::start(config).await, greeter)
}

async fn streams(control: &ControlServer) -> usize {
    let clients: Value = control.admin("/v1/clients").await;
    clients["clients"].as_array().expect("a list of clients").len()
}

/// Proves: TR-01.
#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_channels_share_one_stream_and_free_all() {
    let (control, _greeter) = one_greeter().await;
    let tasks = Handle::current().metrics().num_alive_tasks();
    let client = MeshClient::of(&control);
    let names = [yaml::target(), format!("xds:///{}", yaml::HOST)];
    let channels: Vec<_> = (0..200)
        .map(|number| MeshChannel::builder(names[number % 2].as_str()).mesh(&client.mesh).build().unwrap())
        .collect();
    for channel in &channels {
        let mut greeter = examples::greeter::greeter_client::GreeterClient::new(channel.clone());
        greeter.say_hello(examples::greeter::HelloRequest::default()).await.unwrap();
    }
    assert_eq!(streams(&control).await, 1);
    drop((channels, client));
    eventually("the stream is gone", async || match streams(&control).await {
        0 => Ok(()),
        streams => Err(format!("{streams} streams")),
    })
    .await;
    eventually("no task is left", async || match Handle::current().metrics().num_alive_tasks() {
        left if left <= tasks => Ok(()),
        left => Err(format!("{left} tasks, {tasks} before")),
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn cluster_that_leaves_and_returns_a_hundred_times_costs_no_call() {
    let greeters = [Greeter::start("one", "v1").await, Greeter::start("two", "v2").await];
    let config = ConfigDir::new();
    let endpoints = [Endpoint::new(greeters[0].address, "v1"), Endpoint::new(greeters[1].address, "v2")];
    config.write("service.yaml", &yaml::service(&endpoints));
    let rules = |subset| yaml::routes(&[&format!("{{{}}}", yaml::split(&[(subset, 100)]))]);
    config.write("route.yaml", &rules("v1"));
    let control = ControlServer::start(config).await;
    let client = MeshClient::of(&control);
    let load = Load::start(&client.channel, 2);
    for round in 0..100 {
        let subset = ["v2", "v1"][round % 2];
        control.config.write("route.yaml", &rules(subset));
        eventually("the other cluster is used", async || {
            let tally = load.calls(20).await;
            assert!(tally.failures.is_empty(), "round {round}: {tally:?}");
            if tally.percent_of_version(subset) > 99.0 { Ok(()) } else { Err(format!("{tally:?}")) }
        })
        .await;
    }
    let tally = load.stop().await;
    assert!(tally.failures.is_empty(), "{tally:?}");
}
