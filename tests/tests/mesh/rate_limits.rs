//! `RateLimitPolicy`, from YAML to calls of our client and our server.

use std::net::SocketAddr;

use control_server::embedded::Embedded;
use examples::service::GreeterService;
use mesh_core::runtime::Mesh;
use mesh_tonic::{MeshServer, ServingState};
use tests::mesh::MeshClient;
use tests::yaml::Endpoint;
use tokio::sync::watch;
use tonic::Code;
use tonic::service::Routes;
use xds_client::bootstrap::Node;

use crate::embedded::{client, document, of_text, service};

fn policy(spec: &str) -> String {
    document("mesh.dev/v1alpha1", "RateLimitPolicy", "greeter", &format!("{{{spec}}}"))
}

/// For clients of the greeter.
fn of_clients(rules: &str) -> String {
    policy(
        &format!("targetRefs: [{{kind: Service, name: greeter}}], enforcement: Client, {rules}")
            .replace("kind: Service", "group: networking.istio.io, kind: ServiceEntry"),
    )
}

async fn codes(client: &MeshClient, calls: usize, metadata: &[(&'static str, &str)]) -> Vec<Code> {
    let mut codes = Vec::new();
    for _ in 0..calls {
        codes.push(client.hello_with(metadata).await.err().map_or(Code::Ok, |status| status.code()));
    }
    codes
}

use Code::{Ok as Passed, ResourceExhausted, Unavailable};

#[tokio::test]
async fn client_sends_so_many_calls() {
    let rule = "rules: [{name: all, limit: {requests: 3, per: 1h}}]";
    let limited = client(1, &of_clients(rule)).await;
    assert_eq!(codes(&limited, 5, &[]).await, [Passed, Passed, Passed, ResourceExhausted, ResourceExhausted]);
    let told = client(1, &of_clients(&format!("{rule}, onLimit: {{grpcStatus: UNAVAILABLE}}"))).await;
    assert_eq!(codes(&told, 4, &[]).await, [Passed, Passed, Passed, Unavailable]);
    let shadow = client(1, &of_clients(&format!("mode: Shadow, {rule}"))).await;
    assert_eq!(codes(&shadow, 5, &[]).await, [Passed; 5]);
    let burst =
        client(1, &of_clients("rules: [{name: all, cost: 2, limit: {requests: 1, per: 1h, burst: 4}}]"))
            .await;
    assert_eq!(codes(&burst, 3, &[]).await, [Passed, Passed, ResourceExhausted]);
}

#[tokio::test]
async fn each_value_of_a_key_has_its_limit_and_those_without_share_one() {
    let client = client(1, &of_clients("rules: [{name: tenant, key: [{header: x-tenant}, {header: x-user}], limit: {requests: 1, per: 1h}}]")).await;
    let rows: [&[(&'static str, &str)]; 6] = [
        &[],
        &[("x-tenant", "a")],
        &[("x-tenant", "b")],
        &[("x-user", "a")],
        &[("x-tenant", "a"), ("x-user", "a")],
        &[("x-tenant", "a"), ("x-user", "b")],
    ];
    for metadata in rows {
        assert_eq!(codes(&client, 2, metadata).await, [Passed, ResourceExhausted], "{metadata:?}");
    }
}

#[tokio::test]
async fn rule_counts_the_calls_that_it_matches() {
    let rules = "rules: [{name: free, match: {headers: [{name: x-tier, exact: free}]}, limit: {requests: 1, per: 1h}}, \
                 {name: any-bot, match: {headers: [{name: x-bot}]}, limit: {requests: 2, per: 1h}}]";
    let client = client(1, &of_clients(rules)).await;
    assert_eq!(codes(&client, 4, &[("x-tier", "gold")]).await, [Passed; 4]);
    assert_eq!(codes(&client, 2, &[("x-tier", "free")]).await, [Passed, ResourceExhausted]);
    assert_eq!(codes(&client, 3, &[("x-bot", "1")]).await, [Passed, Passed, ResourceExhausted]);
}

/// A greeter whose listener these documents make.
async fn server(text: &str) -> SocketAddr {
    let mut node = Node::new("server");
    node.metadata.insert("NAMESPACE".to_owned(), "shop".into());
    node.metadata.insert("LABELS".to_owned(), serde_json::json!({"app": "greeter"}));
    let mesh =
        Mesh::new(Embedded::from_yaml(text).node(node).client().unwrap_or_else(|error| panic!("{error}")));
    let (serving, mut is_serving) = watch::channel(false);
    let tell = move |state: &ServingState| {
        let _told = serving.send(matches!(state, ServingState::Serving));
    };
    let server = MeshServer::builder().on_state(tell).bind(&mesh, "127.0.0.1:0").await.unwrap();
    let address = server.local_addr();
    tokio::spawn(async move {
        let _mesh = mesh;
        server.serve(Routes::new(GreeterService::new("limited", "v1").into_server())).await;
    });
    let serving = is_serving.wait_for(|serving| *serving);
    tokio::time::timeout(tests::PATIENCE, serving).await.expect("the server does not serve").unwrap();
    address
}

#[tokio::test]
async fn server_takes_so_many_calls_of_all_its_clients() {
    let policies = policy(
        "selector: {matchLabels: {app: greeter}}, rules: [{name: all, limit: {requests: 3, per: 1h}}]",
    );
    let address = server(policies.trim_start_matches("---\n")).await;
    let clients = [address, address].map(|address| of_text(&service(&[Endpoint::new(address, "v1")])));
    assert_eq!(codes(&clients[0], 2, &[]).await, [Passed; 2]);
    assert_eq!(codes(&clients[1], 2, &[]).await, [Passed, ResourceExhausted]);
}

#[tokio::test]
async fn servers_without_the_labels_take_every_call() {
    let policies =
        policy("selector: {matchLabels: {app: other}}, rules: [{name: all, limit: {requests: 1, per: 1h}}]");
    let address = server(policies.trim_start_matches("---\n")).await;
    let client = of_text(&service(&[Endpoint::new(address, "v1")]));
    assert_eq!(codes(&client, 4, &[]).await, [Passed; 4]);
}

/// A caller in plaintext has no identity: its calls share one limit.
#[tokio::test]
async fn callers_without_an_identity_share_a_limit() {
    let policies = policy("rules: [{name: callers, key: [source.principal], limit: {requests: 2, per: 1h}}]");
    let address = server(policies.trim_start_matches("---\n")).await;
    let clients = [address, address].map(|address| of_text(&service(&[Endpoint::new(address, "v1")])));
    assert_eq!(codes(&clients[0], 1, &[]).await, [Passed]);
    assert_eq!(codes(&clients[1], 2, &[]).await, [Passed, ResourceExhausted]);
}
