//! CSDS over the admin listener, with a generated client.

use control_server::discovery::SyncState;
use control_server::resources::ResourceKind::{Cluster, Listener};
use tonic::transport::Channel;
use xds_proto::envoy::admin::v3::ClientResourceStatus;
use xds_proto::envoy::service::status::v3::client_config::GenericXdsConfig;
use xds_proto::envoy::service::status::v3::client_status_discovery_service_client::ClientStatusDiscoveryServiceClient;
use xds_proto::envoy::service::status::v3::{ClientConfig, ClientStatusRequest, ConfigStatus};
use xds_proto::envoy::r#type::matcher::v3::string_matcher::MatchPattern;
use xds_proto::envoy::r#type::matcher::v3::{NodeMatcher, StringMatcher};

use crate::support::{Client, Fixture, channel};

async fn connect(fixture: &Fixture) -> ClientStatusDiscoveryServiceClient<Channel> {
    ClientStatusDiscoveryServiceClient::new(channel(fixture.running.admin_address()).await)
}

fn of_node(pattern: MatchPattern) -> ClientStatusRequest {
    let node_id = Some(StringMatcher { match_pattern: Some(pattern), ignore_case: false });
    let matcher = NodeMatcher { node_id, node_metadatas: vec![] };
    ClientStatusRequest { node_matchers: vec![matcher], ..ClientStatusRequest::default() }
}

fn resource<'a>(config: &'a ClientConfig, name: &str) -> &'a GenericXdsConfig {
    config.generic_xds_configs.iter().find(|one| one.name == name).unwrap()
}

/// A client that has accepted `l`, refused `a`, and asked for a listener that does not exist.
async fn client(fixture: &Fixture) -> Client {
    let mut client = Client::connect(fixture).await;
    client.ask(Listener, &["l", "gone"], "");
    let listener = client.expect("lds l=1").await;
    client.answer(&listener, &["l", "gone"], None);
    client.ask(Cluster, &["a"], "");
    let cluster = client.expect("cds a=1").await;
    client.answer(&cluster, &["a"], Some("cluster a: too round"));
    fixture.clients_once(|clients| clients[0].state == SyncState::Nacked).await;
    client
}

#[tokio::test]
async fn every_resource_of_every_client_is_shown() {
    let fixture = Fixture::with(&["cds a=1", "lds l=1"]).await;
    let _client = client(&fixture).await;
    let mut csds = connect(&fixture).await;
    let told = csds.fetch_client_status(ClientStatusRequest::default()).await.unwrap().into_inner();
    let [config] = &told.config[..] else { panic!("{told:?}") };
    assert_eq!(config.node.as_ref().unwrap().id, "node-1");
    assert_eq!(config.client_scope, "ads/1");

    let (good, bad, gone) = (resource(config, "l"), resource(config, "a"), resource(config, "gone"));
    assert_eq!(good.config_status(), ConfigStatus::Synced);
    assert_eq!(good.client_status(), ClientResourceStatus::Acked);
    assert_eq!((good.type_url.as_str(), good.version_info.as_str()), (Listener.type_url(), "1"));
    assert_eq!(good.xds_config.as_ref().unwrap().value, b"l=1");
    assert!(good.last_updated.is_some_and(|at| at.seconds > 1_700_000_000));
    assert_eq!(good.error_state, None);
    assert_eq!(bad.config_status(), ConfigStatus::Error);
    assert_eq!(bad.error_state.as_ref().unwrap().details, "cluster a: too round");
    assert_eq!(gone.config_status(), ConfigStatus::NotSent);
    assert_eq!(gone.client_status(), ClientResourceStatus::DoesNotExist);

    let short = ClientStatusRequest { exclude_resource_contents: true, ..ClientStatusRequest::default() };
    let told = csds.fetch_client_status(short).await.unwrap().into_inner();
    assert_eq!(resource(&told.config[0], "l").xds_config, None);
}

#[tokio::test]
async fn clients_are_chosen_by_node() {
    let fixture = Fixture::with(&["cds a=1", "lds l=1"]).await;
    let _client = client(&fixture).await;
    let mut csds = connect(&fixture).await;
    for (pattern, count) in [
        (MatchPattern::Exact("node-1".to_owned()), 1),
        (MatchPattern::Exact("node".to_owned()), 0),
        (MatchPattern::Prefix("node".to_owned()), 1),
    ] {
        let told = csds.fetch_client_status(of_node(pattern)).await.unwrap().into_inner();
        assert_eq!(told.config.len(), count);
    }
    let regex = of_node(MatchPattern::SafeRegex(Default::default()));
    let status = csds.fetch_client_status(regex).await.unwrap_err();
    assert_eq!(status.code(), tonic::Code::InvalidArgument);
    assert!(status.message().contains("exact, prefix"), "{status}");
}

#[tokio::test]
async fn stream_is_answered_request_by_request() {
    let fixture = Fixture::with(&["cds a=1", "lds l=1"]).await;
    let _client = client(&fixture).await;
    let mut csds = connect(&fixture).await;
    let requests = [
        ClientStatusRequest::default(),
        of_node(MatchPattern::Exact("unknown".to_owned())),
        of_node(MatchPattern::SafeRegex(Default::default())),
    ];
    let answers = csds.stream_client_status(tokio_stream::iter(requests)).await.unwrap();
    let mut answers = answers.into_inner();
    assert_eq!(answers.message().await.unwrap().unwrap().config.len(), 1);
    assert_eq!(answers.message().await.unwrap().unwrap().config.len(), 0);
    assert_eq!(answers.message().await.unwrap_err().code(), tonic::Code::InvalidArgument);
}

/// Proves: SEC-10.
#[tokio::test]
async fn xds_listener_does_not_serve_csds() {
    let fixture = Fixture::with(&[]).await;
    let channel = channel(fixture.running.xds_address()).await;
    let mut csds = ClientStatusDiscoveryServiceClient::new(channel);
    let status = csds.fetch_client_status(ClientStatusRequest::default()).await.unwrap_err();
    assert_eq!(status.code(), tonic::Code::Unimplemented);
}

#[tokio::test]
async fn json_status_equals_csds() {
    let fixture = Fixture::with(&["cds a=1", "lds l=1"]).await;
    let mut client = client(&fixture).await;
    for id in ["1", "node-1"] {
        let told = fixture.ask(&format!("/v1/clients/{id}/config")).await;
        assert_eq!((&told["id"], &told["node_id"]), (&1.into(), &"node-1".into()));
        let rows: Vec<_> = told["resources"]
            .as_array()
            .unwrap()
            .iter()
            .map(|row| {
                ["type", "name", "state", "version_sent", "version_acked", "reason"]
                    .map(|key| row[key].as_str().unwrap())
            })
            .collect();
        assert_eq!(
            rows,
            [
                ["cds", "a", "ERROR", "1", "", "cluster a: too round"],
                ["lds", "gone", "NOT_SENT", "", "", ""],
                ["lds", "l", "SYNCED", "1", "1", ""],
            ]
        );
    }
    // The operator deletes a listener that is in use.
    fixture.publish(&["cds a=1"]);
    let removal = client.expect("lds").await;
    client.answer(&removal, &["l", "gone"], None);
    let is_deleted = |clients: &[control_server::discovery::ClientStatus]| {
        clients[0].types.iter().any(|one| one.deleted == ["l"] && one.state == SyncState::Missing)
    };
    fixture.clients_once(is_deleted).await;
}
