//! Our client and our control-server in the incremental protocol, with endpoints as resources of their own.

use serde_json::{Value, json};
use tests::load::Load;
use tests::mesh::MeshClient;
use tests::yaml::{self, Endpoint};
use tests::{ConfigDir, ControlServer, Greeter, eventually};
use xds_client::Options;
use xds_client::protocol::ResourceState;

/// What a client that speaks the incremental protocol is told.
fn incremental(control: &ControlServer) -> Value {
    let mut bootstrap = control.bootstrap("incremental");
    bootstrap["xds_servers"][0]["server_features"] = json!(["xds_v3", "incremental_xds"]);
    bootstrap
}

fn service(greeters: &[&Greeter]) -> String {
    let endpoints: Vec<_> = greeters.iter().map(|greeter| Endpoint::new(greeter.address, "v1")).collect();
    yaml::service(&endpoints)
}

/// Waits until these answer, and no other endpoint.
async fn until_answered_by(load: &Load, names: &[&str]) {
    eventually(&format!("{names:?} answer"), async || {
        let tally = load.calls(100).await;
        assert!(tally.failures.is_empty(), "{tally:?}");
        let answered: Vec<&str> = tally.by_endpoint.keys().map(String::as_str).collect();
        if answered == names { Ok(()) } else { Err(format!("{answered:?}")) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn endpoints_are_added_and_removed_without_a_failed_call() {
    let greeters =
        [Greeter::start("a", "v1").await, Greeter::start("b", "v1").await, Greeter::start("c", "v1").await];
    let [a, b, c] = &greeters;
    let config = ConfigDir::new();
    config.write("service.yaml", &service(&[a, b]));
    let mut control = ControlServer::start(config).await;
    let client = MeshClient::with(&incremental(&control), Options::default());
    client.hello().await.unwrap();
    let status = client.xds.status();
    let collection = status.resources.iter().find(|one| one.type_url.ends_with(".LbEndpoint"));
    let collection = collection.unwrap_or_else(|| panic!("no collection: {status:?}"));
    assert!(collection.name.ends_with("/*") && collection.state == ResourceState::Acked, "{collection:?}");

    let load = Load::start(&client.channel, 4);
    until_answered_by(&load, &["a", "b"]).await;
    control.config.write("service.yaml", &service(&[a, b, c]));
    until_answered_by(&load, &["a", "b", "c"]).await;
    control.config.write("service.yaml", &service(&[b, c]));
    until_answered_by(&load, &["b", "c"]).await;

    // What is held is told to the server that comes back, which sends what is different.
    control.kill().await;
    control.config.write("service.yaml", &service(&[a, c]));
    let without = load.calls(500).await;
    assert!(without.failures.is_empty(), "{without:?}");
    control.restart().await;
    until_answered_by(&load, &["a", "c"]).await;
    let rest = load.stop().await;
    assert!(rest.failures.is_empty(), "{rest:?}");
    let status = client.xds.status();
    assert!(status.resources.iter().all(|one| one.state == ResourceState::Acked), "{status:?}");
}

/// A service without endpoints is an answer, and the first one brings it to life.
#[tokio::test(flavor = "multi_thread")]
async fn service_starts_and_ends_without_endpoints() {
    let greeter = Greeter::start("only", "v1").await;
    let config = ConfigDir::new();
    config.write("service.yaml", &service(&[]));
    let control = ControlServer::start(config).await;
    let client = MeshClient::with(&incremental(&control), Options::default());
    let status = client.hello().await.unwrap_err();
    assert_eq!(status.code(), tonic::Code::Unavailable, "{status}");
    control.config.write("service.yaml", &service(&[&greeter]));
    eventually("it answers", async || client.hello().await.map_err(|status| status.to_string())).await;
    control.config.write("service.yaml", &service(&[]));
    eventually("it does not answer", async || match client.hello().await {
        Err(status) if status.code() == tonic::Code::Unavailable => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .await;
}
