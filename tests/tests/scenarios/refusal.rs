//! A client that refuses everything, and an operator who deletes what is in use.

use std::time::Duration;

use control_server::discovery::{ClientStatus, SyncState};
use serde_json::Value;
use tests::ads::{AdsClient, CLUSTER, LISTENER, ROUTES};
use tests::mesh::MeshClient;
use tests::paced::Paced;
use tests::{Scenario, eventually, within, yaml};
use tonic::Code;
use xds_client::Options;
use xds_client::protocol::ResourceState;

use crate::stage::{Stage, until_version};

/// Scenario 17.
#[tokio::test(flavor = "multi_thread")]
async fn refused_resource_is_not_sent_again() {
    let scenario = Scenario::begin("17 always refuses").await;
    let stage = Stage::start().await;
    let listener = format!("{}:{}", yaml::HOST, yaml::PORT);
    let routes = format!("outbound|{}||{}", yaml::PORT, yaml::HOST);
    let subset = format!("outbound|{}|v1|{}", yaml::PORT, yaml::HOST);
    let asked: [(&str, &[&str]); 3] = [(LISTENER, &[&listener]), (ROUTES, &[&routes]), (CLUSTER, &[&subset])];
    let mut client = AdsClient::start(stage.control.addresses.xds, "grumpy", LISTENER, &[&listener]).await;
    for (type_url, names) in &asked[1..] {
        client.subscribe(type_url, names);
    }
    for _ in &asked {
        let response = client.response().await;
        let (_, names) = asked.iter().find(|(type_url, _)| *type_url == response.type_url).unwrap();
        client.nack(&response, names, "not today");
    }
    let quiet = scenario.pick(Duration::from_secs(5), Duration::from_secs(60));
    let again = client.response_within(quiet).await;
    assert!(again.is_none(), "sent again: {again:?}");
    let status: ClientStatus = stage.control.admin("/v1/clients/grumpy").await;
    assert_eq!(status.state, SyncState::Nacked, "{status:?}");
    for of_type in &status.types {
        assert!(of_type.state == SyncState::Nacked && of_type.reason == "not today", "{of_type:?}");
        let since = Duration::from_secs(of_type.state_seconds);
        assert!(
            since + Duration::from_secs(2) >= quiet && since <= quiet + Duration::from_secs(10),
            "{since:?}"
        );
    }
    // What is new is worth another try, and nothing else.
    stage.route_to("v2");
    let response = client.response().await;
    assert_eq!(response.type_url, ROUTES);
    scenario.figure("responses after the refusal", format_args!("0 in {quiet:?}"));
}

/// Scenario 18, by default: the listener stays in use.
#[tokio::test(flavor = "multi_thread")]
async fn listener_that_is_deleted_stays_in_use() {
    let scenario = Scenario::begin("18 deleted").await;
    let stage = Stage::start().await;
    let client = MeshClient::with(&stage.control.bootstrap("n1"), Options::default());
    until_version(&client, "v1", Duration::from_secs(10)).await;
    let load = Paced::start(&client.channel, scenario.pick(100, 1000));
    delete(&stage);
    let probe = async || match listener(&client) {
        (ResourceState::ReceivedError, true) => Ok(()),
        other => Err(format!("{other:?}")),
    };
    let (_, told) = within(Duration::from_secs(10), "it does not exist, and is cached", probe).await;
    eventually("the admin API names what is missing", async || {
        let status: ClientStatus = stage.control.admin("/v1/clients/n1").await;
        let mut missing = status.types.iter().flat_map(|of_type| &of_type.missing);
        if missing.any(|name| name.starts_with(yaml::HOST)) { Ok(()) } else { Err(format!("{status:?}")) }
    })
    .await;
    load.during(scenario.pick(Duration::from_secs(1), Duration::from_secs(60))).await.assert_no_failures();
    assert_eq!(listener(&client), (ResourceState::ReceivedError, true));
    load.stop().await.assert_no_failures();
    scenario.figure("known to be deleted after", format_args!("{told:.2?}"));
}

/// Scenario 18, where the bootstrap says so: calls fail.
#[tokio::test(flavor = "multi_thread")]
async fn listener_that_is_deleted_fails_calls_where_data_errors_count() {
    let scenario = Scenario::begin("18 deleted, failing").await;
    let stage = Stage::start().await;
    let mut bootstrap = stage.control.bootstrap("n1");
    bootstrap["xds_servers"][0]["server_features"] = Value::from(vec!["xds_v3", "fail_on_data_errors"]);
    let client = MeshClient::with(&bootstrap, Options::default());
    until_version(&client, "v1", Duration::from_secs(10)).await;
    delete(&stage);
    let gone = async || match listener(&client) {
        (ResourceState::ReceivedError, false) => Ok(()),
        other => Err(format!("{other:?}")),
    };
    within(Duration::from_secs(10), "it does not exist, and is not cached", gone).await;
    let failing = async || match client.hello().await {
        Err(status) if status.code() == Code::Unavailable => Ok(status.message().to_owned()),
        other => Err(format!("{other:?}")),
    };
    let (text, took) = within(Duration::from_secs(1), "calls fail", failing).await;
    for part in [yaml::HOST, "does not exist", "n1"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    scenario.figure("UNAVAILABLE after", format_args!("{took:.2?}"));
}

/// Deletes the service and all that is about it.
fn delete(stage: &Stage) {
    for file in ["route.yaml", "service.yaml"] {
        stage.control.config.remove(file);
    }
}

/// The state of the listener in use, and whether it is cached. Our control-server says in so many words that it does not
/// exist (TR-30), so that the state is that of an error received.
fn listener(client: &MeshClient) -> (ResourceState, bool) {
    let resources = client.xds.status().resources;
    let listener = resources.iter().find(|resource| resource.type_url == LISTENER).unwrap();
    (listener.state, listener.cached)
}
