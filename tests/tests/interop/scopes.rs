//! What a client is served depends on who it says it is: clients of different namespaces and zones beside each other.

use serde_json::json;
use tests::eventually;
use tests::stock::{Calls, Client};
use tests::yaml::{self, Endpoint, split};

use super::stage::{Language, Stage};

/// A client in a namespace and a zone.
async fn client(stage: &Stage, namespace: &str, zone: &str) -> Client {
    let mut bootstrap = stage.control.bootstrap(&format!("{namespace}-{zone}"));
    bootstrap["node"]["metadata"] = json!({ "NAMESPACE": namespace });
    bootstrap["node"]["locality"] = json!({ "region": "eu", "zone": zone });
    stage.stock.client(&yaml::target(), Some(&bootstrap)).await
}

/// All of 20 calls go to the endpoint of this name.
async fn all_calls_go_to(client: &mut Client, endpoint: &str) {
    eventually(&format!("calls go to {endpoint}"), async || {
        let report = client.call(Calls::new(20).wait_for_ready()).await;
        let all = report.endpoints.get(endpoint) == Some(&20);
        if all { Ok(()) } else { Err(format!("{report:?}")) }
    })
    .await;
}

async fn clients_of_two_namespaces_have_their_own_routes(language: Language) {
    let Some(stage) = Stage::start(language, "namespaces", &["v1", "v2"]).await else { return };
    stage.routes(&[
        &format!("{{match: [{{sourceNamespace: qa}}], {}}}", split(&[("v2", 1)])),
        &format!("{{{}}}", split(&[("v1", 1)])),
    ]);
    let (mut shop, mut qa) = (client(&stage, "shop", "a").await, client(&stage, "qa", "a").await);
    all_calls_go_to(&mut shop, "e0").await;
    all_calls_go_to(&mut qa, "e1").await;
}

async fn clients_of_two_zones_prefer_their_own_endpoints(language: Language) {
    let Some(stage) = Stage::start(language, "zones", &["v1", "v1"]).await else { return };
    let places = stage.servers.iter().zip(["eu/a", "eu/b"]);
    let endpoints = places.map(|(server, place)| Endpoint::new(server.address, "v1").locality(place));
    let near = "simple: ROUND_ROBIN, localityLbSetting: {enabled: true}";
    let service = yaml::service(&endpoints.collect::<Vec<_>>()).replace("simple: ROUND_ROBIN", near);
    stage.control.config.write("service.yaml", &service);
    let (mut a, mut b) = (client(&stage, "shop", "a").await, client(&stage, "shop", "b").await);
    all_calls_go_to(&mut a, "e0").await;
    all_calls_go_to(&mut b, "e1").await;
}

for_each! { python: super::Language::Python, node: super::Language::Node, go: super::Language::Go, java: super::Language::Java => [
    clients_of_two_namespaces_have_their_own_routes,
    clients_of_two_zones_prefer_their_own_endpoints,
] }
