//! Incremental ADS over loopback sockets, with a generated client.

use control_server::discovery::SyncState;
use control_server::resources::ResourceKind::{Cluster, Endpoints, LbEndpoint, Listener, Route};

use super::delta_client::DeltaClient;
use crate::support::Fixture;

#[tokio::test]
async fn updates_are_sent_to_subscribers_and_acknowledged() {
    let fixture = Fixture::with(&["cds a=1", "cds b=1", "cds c=1"]).await;
    let mut client = DeltaClient::connect(&fixture).await;
    client.ask(Cluster, &["a", "b", "x"], &[]);
    let first = client.expect("cds a=1 b=1 !x").await;
    client.answer(&first, None);
    let clients = fixture.clients_once(|clients| clients[0].state == SyncState::Missing).await;
    assert_eq!((&*clients[0].node_id, &clients[0].types[0].missing[..]), ("node-1", &["x".to_owned()][..]));
    fixture.publish(&["cds a=2", "cds b=1", "cds c=2"]);
    client.accept("cds a=2").await;
    client.ask(Cluster, &["c"], &["a"]);
    client.accept("cds c=2").await;
    fixture.publish(&["cds a=3", "cds b=1", "cds c=2", "cds x=1"]);
    client.accept("cds x=1").await;
    drop(client);
    fixture.clients_once(<[_]>::is_empty).await;
}

#[tokio::test]
async fn wildcard_gets_what_changes() {
    let fixture = Fixture::with(&["lds a=1", "lds b=1"]).await;
    let mut client = DeltaClient::connect(&fixture).await;
    client.ask(Listener, &[], &[]);
    client.accept("lds a=1 b=1").await;
    fixture.publish(&["lds a=1", "lds b=2", "lds c=1"]);
    client.accept("lds b=2 c=1").await;
    fixture.publish(&["lds b=2", "lds c=1"]);
    client.accept("lds !a").await;
}

#[tokio::test]
async fn reconnected_client_gets_only_what_it_lacks() {
    let fixture = Fixture::with(&["cds a=1", "cds b=2", "eds e=1"]).await;
    let mut client = DeltaClient::connect(&fixture).await;
    client.ask_with(Cluster, &["a", "b"], &[], &[("a", "1"), ("b", "1"), ("z", "1")]);
    client.accept("cds b=2").await;
    client.ask_with(Endpoints, &["e", "gone"], &[], &[("e", "1"), ("gone", "7")]);
    client.accept("eds").await;
    client.accept("eds !gone").await;
}

#[tokio::test]
async fn refused_content_is_not_sent_again() {
    let fixture = Fixture::with(&["cds a=1", "cds b=1"]).await;
    let mut client = DeltaClient::connect(&fixture).await;
    client.ask(Cluster, &["a", "b"], &[]);
    let bad = client.expect("cds a=1 b=1").await;
    client.answer(&bad, Some("cluster a: I do not like it"));
    let clients = fixture.clients_once(|clients| clients[0].state == SyncState::Nacked).await;
    assert_eq!(clients[0].types[0].reason, "cluster a: I do not like it");
    fixture.publish(&["cds a=1", "cds b=2"]);
    client.accept("cds b=2").await;
    fixture.publish(&["cds a=2", "cds b=2"]);
    client.accept("cds a=2").await;
}

#[tokio::test]
async fn one_revision_arrives_in_order() {
    let fixture = Fixture::with(&["cds a=1", "eds a=1", "lds a=1", "rds a=1"]).await;
    let mut client = DeltaClient::connect(&fixture).await;
    for kind in [Route, Listener, Endpoints, Cluster] {
        client.ask(kind, &["a"], &[]);
        client.accept(&format!("{} a=1", kind.short_name())).await;
    }
    let is_synced = |clients: &[control_server::discovery::ClientStatus]| {
        clients[0].types.iter().all(|found| found.state == SyncState::Synced)
    };
    fixture.clients_once(is_synced).await;
    fixture.publish(&["cds a=2", "eds a=2", "lds a=2", "rds a=2"]);
    for expected in ["cds a=2", "eds a=2", "lds a=2", "rds a=2"] {
        client.expect(expected).await;
    }
}

#[tokio::test]
async fn slow_client_gets_the_latest_state_only() {
    let fixture = Fixture::with(&["eds a=0"]).await;
    let mut client = DeltaClient::connect(&fixture).await;
    client.ask(Endpoints, &["a"], &[]);
    let first = client.expect("eds a=0").await;
    for revision in 1..=100 {
        fixture.publish(&[&format!("eds a={revision}")]);
        tokio::task::yield_now().await;
    }
    client.answer(&first, None);
    client.accept("eds a=100").await;
    fixture.publish(&["eds a=100", "lds l=1"]);
    client.ask(Listener, &["l"], &[]);
    client.expect("lds l=1").await;
}

#[tokio::test]
async fn nothing_is_served_before_the_sync() {
    let fixture = Fixture::unsynced().await;
    let mut client = DeltaClient::connect(&fixture).await;
    client.ask(Cluster, &["*"], &[]);
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
    let mut client = DeltaClient::connect(&fixture).await;
    client.ask(Route, &["", "\u{0}", "*"], &["", "x"]);
    client.accept("rds ! !\u{0} !*").await;
    client.ask(Endpoints, &[], &["phantom"]);
    client.ask(Cluster, &["a", "a"], &["a"]);
    client.accept("cds a=1").await;
}

#[tokio::test]
async fn collection_costs_what_changes_of_it() {
    let mut members: Vec<String> = (0..1000).map(|member| format!("leds c/{member:04}=1")).collect();
    let publish = |fixture: &Fixture, members: &[String]| {
        fixture.publish(&members.iter().map(String::as_str).collect::<Vec<_>>());
    };
    let fixture = Fixture::unsynced().await;
    publish(&fixture, &members);
    fixture.sync();
    let mut client = DeltaClient::connect(&fixture).await;
    client.ask(LbEndpoint, &["c/*", "d/*"], &[]);
    let all = client.message().await.unwrap().unwrap();
    assert_eq!((all.resources.len(), &all.removed_resources[..]), (1000, &["d/*".to_owned()][..]));
    client.answer(&all, None);
    members[7] = "leds c/0007=2".to_owned();
    members.remove(8);
    publish(&fixture, &members);
    client.accept("leds c/0007=2 !c/0008").await;
}

#[tokio::test]
async fn client_over_its_limits_is_disconnected() {
    let fixture = Fixture::with(&["cds a=1"]).await;
    let mut client = DeltaClient::connect(&fixture).await;
    let names: Vec<String> = (0..50_001).map(|name| name.to_string()).collect();
    client.ask(Cluster, &names.iter().map(String::as_str).collect::<Vec<_>>(), &[]);
    let status = client.message().await.unwrap_err();
    assert_eq!(status.code(), tonic::Code::ResourceExhausted);
    assert!(status.message().contains("50001 names"), "{status}");
    fixture.clients_once(<[_]>::is_empty).await;
}
