//! What breaks while calls run, and what callers see of it: nothing.

use std::net::SocketAddr;

use tests::load::Load;
use tests::mesh::MeshClient;
use tests::yaml::{self, Endpoint};
use tests::{ConfigDir, ControlServer, Greeter, eventually};
use tokio::net::TcpListener;

/// An address that refuses connections: bound once, then let go.
async fn refusing() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    listener.local_addr().expect("a bound address")
}

/// Scenario 4.
#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_that_refuses_costs_no_call_without_a_control_server() {
    let alive = Greeter::start("alive", "v1").await;
    let config = ConfigDir::new();
    let endpoints = [Endpoint::new(alive.address, "v1"), Endpoint::new(refusing().await, "v1")];
    config.write("service.yaml", &yaml::service(&endpoints));
    let mut control = ControlServer::start(config).await;
    let client = MeshClient::of(&control);
    client.hello().await.unwrap();
    control.kill().await;
    let mut greeter = client.greeter();
    let mut failures = Vec::new();
    for _ in 0..10_000 {
        let request = examples::greeter::HelloRequest { name: "x".to_owned(), count: 1 };
        if let Err(status) = greeter.say_hello(request).await {
            failures.push(status.to_string());
        }
    }
    assert!(failures.is_empty(), "{} of 10,000 failed, first: {}", failures.len(), failures[0]);
}

/// Scenario 1, short.
#[tokio::test(flavor = "multi_thread")]
async fn a_killed_control_server_costs_no_call_and_is_heard_again_when_it_is_back() {
    let (one, two) = (Greeter::start("one", "v1").await, Greeter::start("two", "v2").await);
    let config = ConfigDir::new();
    config.write(
        "service.yaml",
        &yaml::service(&[Endpoint::new(one.address, "v1"), Endpoint::new(two.address, "v2")]),
    );
    config.write("route.yaml", &yaml::routes(&[&format!("{{{}}}", yaml::split(&[("v1", 100)]))]));
    let mut control = ControlServer::start(config).await;
    let client = MeshClient::of(&control);
    let load = Load::start(&client.channel, 4);
    load.calls(200).await;
    control.kill().await;
    control.config.write("route.yaml", &yaml::routes(&[&format!("{{{}}}", yaml::split(&[("v2", 100)]))]));
    let without = load.calls(2000).await;
    assert_eq!(without.percent_of_version("v1"), 100.0, "{without:?}");
    control.restart().await;
    eventually("the new route is used", async || {
        let tally = load.calls(50).await;
        assert!(tally.failures.is_empty(), "{tally:?}");
        if tally.percent_of_version("v2") > 99.0 { Ok(()) } else { Err(format!("{tally:?}")) }
    })
    .await;
    let tally = load.stop().await;
    assert!(without.failures.is_empty() && tally.failures.is_empty(), "{without:?} {tally:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_that_is_killed_and_comes_back_costs_no_call_with_retries() {
    let mut mortal = Greeter::start("mortal", "v1").await;
    let other = Greeter::start("other", "v1").await;
    let config = ConfigDir::new();
    let endpoints = [Endpoint::new(mortal.address, "v1"), Endpoint::new(other.address, "v1")];
    config.write("service.yaml", &yaml::service(&endpoints));
    let rule = format!("{{retries: {{attempts: 3, retryOn: unavailable}}, {}}}", yaml::everything());
    config.write("route.yaml", &yaml::routes(&[&rule]));
    let control = ControlServer::start(config).await;
    let client = MeshClient::of(&control);
    let load = Load::start(&client.channel, 4);
    load.calls(200).await;
    mortal.process.kill().await;
    let without = load.calls(1000).await;
    let _back = Greeter::start_at(mortal.address, "mortal", "v1").await;
    eventually("it is called again", async || {
        let tally = load.calls(100).await;
        assert!(tally.failures.is_empty(), "{tally:?}");
        tally.by_endpoint.get("mortal").copied().ok_or_else(|| format!("{tally:?}"))
    })
    .await;
    let tally = load.stop().await;
    assert!(without.failures.is_empty() && tally.failures.is_empty(), "{without:?} {tally:?}");
}

/// Scenario 5: the text names what failed, why, and that the control-server is away.
#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_fails_says_why() {
    let greeter = Greeter::start("only", "v1").await;
    let config = ConfigDir::new();
    config.write("service.yaml", &yaml::service(&[Endpoint::new(greeter.address, "v1")]));
    let mut control = ControlServer::start(config).await;
    let client = MeshClient::of(&control);
    client.hello().await.unwrap();
    let (address, xds) = (greeter.address, control.addresses.xds);
    drop(greeter);
    control.kill().await;
    eventually("the text names service, endpoint, control-server and node", async || {
        let status = client.hello().await.unwrap_err();
        assert_eq!(status.code(), tonic::Code::Unavailable, "{status}");
        let text = status.message().to_owned();
        let parts = [yaml::HOST, &address.to_string(), "refused", &xds.to_string(), "rust-client"];
        if parts.iter().all(|part| text.contains(part)) { Ok(()) } else { Err(text) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_is_there_first_waits_for_the_control_server() {
    let greeter = Greeter::start("late", "v1").await;
    let config = ConfigDir::new();
    config.write("service.yaml", &yaml::service(&[Endpoint::new(greeter.address, "v1")]));
    let mut control = ControlServer::start(config).await;
    control.kill().await;
    let client = MeshClient::of(&control);
    let status = client.hello().await.unwrap_err();
    assert_eq!(status.code(), tonic::Code::Unavailable, "{status}");
    assert!(status.message().contains(&control.addresses.xds.to_string()), "{status}");
    control.restart().await;
    eventually("calls succeed", async || client.hello().await.map_err(|status| status.to_string())).await;
}
