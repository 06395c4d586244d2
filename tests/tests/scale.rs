//! Many channels, many clusters, and clusters that come and go.

use std::fmt::Write as _;
use std::time::Duration;

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
async fn two_hundred_channels_share_one_stream_and_leave_nothing_behind() {
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
async fn a_cluster_that_leaves_and_returns_a_hundred_times_costs_no_call() {
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

/// Scenario 21.
#[tokio::test(flavor = "current_thread")]
async fn two_thousand_clusters_in_one_route_configuration_are_all_usable_with_one_thread() {
    const CLUSTERS: usize = 2000;
    let greeter = Greeter::start("only", "v1").await;
    let config = ConfigDir::new();
    let service = yaml::service(&[Endpoint::new(greeter.address, "v1")]);
    let mut text = service.split("---").next().unwrap().to_owned();
    write!(
        text,
        "---\napiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {{name: greeter, namespace: shop}}\n\
         spec:\n  host: {}\n  subsets:\n",
        yaml::HOST
    )
    .unwrap();
    for number in 0..CLUSTERS {
        writeln!(text, "  - {{name: s{number}, labels: {{version: v1}}}}").unwrap();
    }
    config.write("service.yaml", &text);
    let rules: Vec<_> = (0..CLUSTERS)
        .map(|number| {
            let destination = yaml::split(&[(&format!("s{number}"), 100)]);
            format!("{{match: [{{headers: {{x-cluster: {{exact: \"{number}\"}}}}}}], {destination}}}")
        })
        .collect();
    config.write("route.yaml", &yaml::routes(&rules.iter().map(String::as_str).collect::<Vec<_>>()));
    let control = ControlServer::start(config).await;
    let client = MeshClient::of(&control);
    let calls = async {
        for number in 0..CLUSTERS {
            client.hello_with(&[("x-cluster", &number.to_string())]).await.unwrap();
        }
    };
    tokio::time::timeout(Duration::from_secs(120), calls).await.expect("nothing hangs");
}
