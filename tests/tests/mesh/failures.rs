//! What breaks while calls run, and what callers see of it: nothing. More of it is in `scenarios/`.

use tests::load::Load;
use tests::mesh::MeshClient;
use tests::yaml::{self, Endpoint};
use tests::{ConfigDir, ControlServer, Greeter, eventually};

#[tokio::test(flavor = "multi_thread")]
async fn endpoint_that_is_killed_and_comes_back_costs_no_call_with_retries() {
    let mut mortal = Greeter::start("mortal", "v1").await;
    let other = Greeter::start("other", "v1").await;
    let config = ConfigDir::new();
    let endpoints = [Endpoint::new(mortal.address, "v1"), Endpoint::new(other.address, "v1")];
    config.write("service.yaml", &yaml::service(&endpoints));
    let rule = format!("{{retries: {{attempts: 3, retryOn: unavailable}}, {}}}", yaml::everything());
    config.write("route.yaml", &yaml::routes(&[&rule]));
    let control = ControlServer::start(config).await;
    let client = MeshClient::of(&control);
    // As many as may always be repeated at the same time: all of them may wait for the endpoint when it dies.
    let load = Load::start(&client.channel, 3);
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
