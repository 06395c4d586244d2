//! The results of calls that our client reports to the control-server.

use serde_json::{Value, json};
use tests::load::Load;
use tests::mesh::MeshClient;
use tests::yaml::{self, Endpoint};
use tests::{ConfigDir, ControlServer, Greeter, eventually};
use xds_client::Options;

/// The load of the greeter's cluster without a subset.
async fn load(control: &ControlServer) -> Option<Value> {
    let seen: Value = control.admin("/v1/load").await;
    seen["clusters"].as_array()?.iter().find(|one| one["cluster"] == CLUSTER).cloned()
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_are_reported_by_cluster_and_locality_in_both_variants() {
    for feature in ["xds_v3", "incremental_xds"] {
        let greeter = Greeter::start("e0", "v1").await;
        let config = ConfigDir::new();
        config.write(
            "service.yaml",
            &yaml::service(&[Endpoint::new(greeter.address, "v1").locality("eu/a/b")]),
        );
        let flags = ["--load-report-interval", "1s"].map(str::to_owned);
        let control = ControlServer::start_with(config, flags.into()).await;
        let mut bootstrap = control.bootstrap("reporter");
        bootstrap["xds_servers"][0]["server_features"] = json!([feature]);
        let client = MeshClient::with(&bootstrap, Options::default());

        let calls = Load::start(&client.channel, 2);
        eventually("successes, errors and calls under way are told", async || {
            client.hello_with(&[("rpc-behavior", "error-code-13")]).await.unwrap_err();
            let Some(load) = load(&control).await else { return Err("nothing".to_owned()) };
            let place = &load["localities"][0];
            assert_eq!((&place["locality"], &load["reporters"]), (&json!("eu/a/b"), &json!(1)), "{load}");
            let fields = ["success_per_second", "error_per_second", "issued_per_second", "in_progress"];
            let is_told = |field: &&str| place[*field] == load[*field] && load[*field].as_f64() > Some(0.0);
            if fields.iter().all(is_told) { Ok(()) } else { Err(load.to_string()) }
        })
        .await;
        assert_eq!(calls.stop().await.failures, Vec::<String>::new());
        eventually("nothing is called any more", async || match load(&control).await {
            None => Ok(()),
            Some(load) => Err(load.to_string()),
        })
        .await;
    }
}

const CLUSTER: &str = "outbound|50051||greeter.shop.svc.cluster.local";
