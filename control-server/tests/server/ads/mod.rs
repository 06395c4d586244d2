//! ADS over loopback sockets, with a generated client.

mod delta;
mod delta_client;

use control_server::discovery::SyncState;
use control_server::resources::ResourceKind::{Cluster, Endpoints, Listener, Route};

use crate::support::{Client, Fixture};

#[tokio::test]
async fn updates_are_sent_to_subscribers_and_acknowledged() {
    let fixture = Fixture::with(&["cds a=1", "cds b=1"]).await;
    let mut client = Client::connect(&fixture).await;
    client.ask(Cluster, &["a"], "");
    let first = client.expect("cds a=1").await;
    client.answer(&first, &["a"], None);
    let clients = fixture.clients_once(|clients| clients[0].state == SyncState::Synced).await;
    let status = &clients[0];
    assert_eq!((status.node_id.as_str(), status.user_agent.as_str()), ("node-1", "a test"));
    assert_eq!(status.user_agent_version, "1.2");
    assert!(status.peer.starts_with("127.0.0.1:"));
    assert_eq!(status.types[0].version_acked, first.version_info);
    fixture.publish(&["cds a=2", "cds b=2"]);
    let second = client.expect("cds a=2").await;
    assert_ne!(first.nonce, second.nonce);
    assert_ne!(first.version_info, second.version_info);
    let clients = fixture.clients_once(|clients| clients[0].state == SyncState::Pending).await;
    assert_eq!(clients[0].types[0].version_sent, second.version_info);
    drop(client);
    fixture.clients_once(<[_]>::is_empty).await;
}

#[tokio::test]
async fn refused_content_is_not_sent_again() {
    let fixture = Fixture::with(&["cds a=1", "eds e=1"]).await;
    let mut client = Client::connect(&fixture).await;
    client.ask(Cluster, &["a"], "");
    let bad = client.expect("cds a=1").await;
    client.answer(&bad, &["a"], Some("cluster a: I do not like it"));
    let clients = fixture.clients_once(|clients| clients[0].state == SyncState::Nacked).await;
    assert_eq!(clients[0].types[0].reason, "cluster a: I do not like it");
    fixture.publish(&["cds a=1", "eds e=2"]);
    client.ask(Endpoints, &["e"], "");
    client.expect("eds e=2").await;
    fixture.publish(&["cds a=2", "eds e=2"]);
    let good = client.expect("cds a=2").await;
    client.answer(&good, &["a"], None);
    let clients = fixture.clients_once(|clients| clients[0].types[0].state == SyncState::Synced).await;
    assert_eq!(clients[0].types[0].reason, "");
}

#[tokio::test]
async fn one_revision_arrives_in_order() {
    let fixture = Fixture::with(&["cds a=1", "eds a=1", "lds a=1", "rds a=1"]).await;
    let mut client = Client::connect(&fixture).await;
    for kind in [Route, Listener, Endpoints, Cluster] {
        client.ask(kind, &["a"], "");
        let response = client.message().await.unwrap().unwrap();
        client.answer(&response, &["a"], None);
    }
    fixture
        .clients_once(|clients| clients[0].types.iter().all(|found| found.state == SyncState::Synced))
        .await;
    fixture.publish(&["cds a=2", "eds a=2", "lds a=2", "rds a=2"]);
    for expected in ["cds a=2", "eds a=2", "lds a=2", "rds a=2"] {
        client.expect(expected).await;
    }
}

#[tokio::test]
async fn deleted_listener_goes_last_and_by_itself() {
    let fixture = Fixture::with(&["lds a=1", "rds r=1"]).await;
    let mut client = Client::connect(&fixture).await;
    for (kind, name) in [(Listener, "a"), (Route, "r")] {
        client.ask(kind, &[name], "");
        let response = client.message().await.unwrap().unwrap();
        client.answer(&response, &[name], None);
    }
    fixture
        .clients_once(|clients| clients[0].types.len() == 2 && clients[0].state == SyncState::Synced)
        .await;
    fixture.publish(&["rds r=2"]);
    let route = client.expect("rds r=2").await;
    client.answer(&route, &["r"], None);
    client.expect("lds").await;
}

#[tokio::test]
async fn absent_names_are_reported_as_removed() {
    let fixture = Fixture::with(&["eds b=1"]).await;
    let mut client = Client::connect(&fixture).await;
    client.ask(Endpoints, &["a", "b"], "");
    let response = client.expect("eds b=1").await;
    let error = &response.resource_errors[0];
    assert_eq!(error.resource_name.as_ref().unwrap().name, "a");
    assert_eq!(error.error_detail.as_ref().unwrap().code, 5);
    client.answer(&response, &["a", "b"], None);
    fixture.publish(&["eds a=1", "eds b=1"]);
    client.expect("eds a=1").await;
}

#[tokio::test]
async fn reconnected_client_with_a_version_gets_everything() {
    let fixture = Fixture::with(&["cds a=1", "eds a=1"]).await;
    let mut versions = Vec::new();
    for round in 0..3 {
        let mut client = Client::connect(&fixture).await;
        client.ask(Cluster, &["a"], versions.first().map_or("", String::as_str));
        client.ask(Endpoints, &["a"], "something old");
        let response = client.expect("cds a=1").await;
        client.expect("eds a=1").await;
        versions.push(response.version_info);
        assert_eq!(versions[round], versions[0]);
    }
}

#[tokio::test]
async fn slow_client_gets_the_latest_state_only() {
    let fixture = Fixture::with(&["eds a=0"]).await;
    let mut client = Client::connect(&fixture).await;
    client.ask(Endpoints, &["a"], "");
    let first = client.expect("eds a=0").await;
    for revision in 1..=100 {
        fixture.publish(&[&format!("eds a={revision}")]);
        tokio::task::yield_now().await;
    }
    client.answer(&first, &["a"], None);
    let last = client.expect("eds a=100").await;
    client.answer(&last, &["a"], None);
    fixture.publish(&["eds a=100", "lds l=1"]);
    client.ask(Listener, &["l"], "");
    client.expect("lds l=1").await;
}

#[tokio::test]
async fn wildcard_gets_everything() {
    let fixture = Fixture::with(&["lds a=1", "lds b=1", "eds e=1"]).await;
    let mut client = Client::connect(&fixture).await;
    client.ask(Endpoints, &[], "");
    client.ask(Listener, &[], "");
    let all = client.expect("lds a=1 b=1").await;
    client.answer(&all, &[], None);
    fixture.publish(&["lds a=1", "lds b=1", "lds c=1"]);
    client.expect("lds a=1 b=1 c=1").await;
}

#[tokio::test]
async fn nothing_is_served_before_the_sync() {
    let fixture = Fixture::unsynced().await;
    let mut client = Client::connect(&fixture).await;
    client.ask(Cluster, &["*"], "");
    fixture.publish(&["cds half=1"]);
    fixture
        .clients_once(|clients| clients.first().is_some_and(|client| client.state == SyncState::Pending))
        .await;
    fixture.publish(&["cds whole=1"]);
    fixture.sync();
    client.expect("cds whole=1").await;
}

#[tokio::test]
async fn invalid_requests_are_harmless() {
    let fixture = Fixture::with(&["cds a=1"]).await;
    let mut client = Client::connect(&fixture).await;
    client.ask_type("", &[], "");
    client.ask_type("type.googleapis.com/no.such.Type", &["a"], "9");
    client.ask(Route, &["", "\u{0}", "*"], "");
    client.ask(Endpoints, &[&"x".repeat(100_000)], "");
    client.ask(Cluster, &["a"], "");
    // The names that do not exist may be answered first.
    while client.message().await.unwrap().unwrap().type_url != Cluster.type_url() {}
    let clients = fixture.clients_once(|clients| clients.len() == 1).await;
    assert_eq!(clients[0].unknown_types, ["", "type.googleapis.com/no.such.Type"]);
}

#[tokio::test]
async fn every_stream_gets_every_change() {
    let fixture = Fixture::with(&["cds a=1"]).await;
    let mut clients = Vec::new();
    for _ in 0..50 {
        let mut client = Client::connect(&fixture).await;
        client.ask(Cluster, &["a"], "");
        let response = client.expect("cds a=1").await;
        client.answer(&response, &["a"], None);
        clients.push(client);
    }
    fixture.publish(&["cds a=2"]);
    for client in &mut clients {
        client.expect("cds a=2").await;
    }
}

#[tokio::test]
async fn draining_ends_every_stream() {
    let fixture = Fixture::with(&["cds a=1"]).await;
    let mut clients = Vec::new();
    for _ in 0..20 {
        let mut client = Client::connect(&fixture).await;
        client.ask(Cluster, &["a"], "");
        client.expect("cds a=1").await;
        clients.push(client);
    }
    let address = fixture.running.xds_address();
    let drained = tokio::spawn(fixture.running.drain());
    for client in &mut clients {
        assert_eq!(client.message().await.unwrap_err().code(), tonic::Code::Unavailable);
    }
    assert!(drained.await.unwrap(), "all left in time");
    assert!(tokio::net::TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn dropped_server_closes_its_port() {
    let fixture = Fixture::with(&["cds a=1"]).await;
    let mut client = Client::connect(&fixture).await;
    client.ask(Cluster, &["a"], "");
    client.expect("cds a=1").await;
    let address = fixture.running.xds_address();
    drop(fixture);
    assert!(client.message().await.is_err());
    for _ in 0..1000 {
        if tokio::net::TcpStream::connect(address).await.is_err() {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("still listening");
}
