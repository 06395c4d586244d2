//! A start while the control-server is gone, from what an earlier process had accepted.

use std::time::{Duration, Instant};

use tests::mesh::MeshClient;
use tests::{Scenario, eventually};
use xds_client::Options;

use crate::stage::{Stage, until_version};

/// Scenario 7.
#[tokio::test(flavor = "multi_thread")]
async fn client_that_starts_without_the_control_server_serves_from_its_snapshot() {
    let scenario = Scenario::begin("7 snapshot").await;
    let mut stage = Stage::start().await;
    let path = stage.control.config.beside("snapshot");
    let options = || Options::default().with_snapshot(&path);
    let bootstrap = stage.control.bootstrap("n1");
    let earlier = MeshClient::with(&bootstrap, options());
    until_version(&earlier, "v1", Duration::from_secs(10)).await;
    eventually("the snapshot is written", async || path.exists().then_some(()).ok_or_else(String::new)).await;
    drop(earlier);
    stage.control.kill().await;

    let began = Instant::now();
    let client = MeshClient::with(&bootstrap, options());
    // The very first call, which does not know of any waiting.
    let reply = client.hello().await;
    let took = began.elapsed();
    assert_eq!(reply.unwrap().version, "v1");
    let bound = scenario.pick(Duration::from_secs(5), Duration::from_millis(500));
    assert!(took < bound, "{took:?}");
    assert!(client.xds.status().stale, "{:?}", client.xds.status());

    stage.route_to("v2");
    stage.control.restart().await;
    until_version(&client, "v2", Duration::from_secs(10)).await;
    assert!(!client.xds.status().stale, "{:?}", client.xds.status());
    scenario.figure("first answer after", format_args!("{took:.2?}"));
}

/// Scenario 7: a file that is truncated or garbled is as good as none.
#[tokio::test(flavor = "multi_thread")]
async fn garbled_snapshot_is_passed_over() {
    let _scenario = Scenario::begin("7 garbled snapshot").await;
    let mut stage = Stage::start().await;
    let path = stage.control.config.beside("snapshot");
    std::fs::write(&path, b"mesh-rs last-good xDS 1\nand nothing that means anything").unwrap();
    let options = Options::default().with_snapshot(&path);
    stage.control.kill().await;
    let client = MeshClient::with(&stage.control.bootstrap("n1"), options);
    let status = client.hello().await.unwrap_err();
    assert_eq!(status.code(), tonic::Code::Unavailable, "{status}");
    assert!(!client.xds.status().stale);
    stage.control.restart().await;
    until_version(&client, "v1", Duration::from_secs(10)).await;
}
