//! What a client says of itself, read over a socket by a client that knows the messages.

use std::collections::BTreeMap;

use mesh_core::runtime::{ConfigSource, Target};
use mesh_tonic::ClientStatusService;
use prost::{Message, Name};
use tests::eventually;
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::Code;
use tonic::transport::{Channel, Server};
use xds_client::bootstrap::{Bootstrap, ServerConfig};
use xds_client::transport::memory::{self, MemoryStream};
use xds_client::{Options, XdsClient, start_with};
use xds_proto::envoy::admin::v3::ClientResourceStatus as Shown;
use xds_proto::envoy::config::core::v3::config_source::ConfigSourceSpecifier;
use xds_proto::envoy::config::core::v3::{AggregatedConfigSource, ConfigSource as Source};
use xds_proto::envoy::config::listener::v3::{ApiListener, Listener};
use xds_proto::envoy::extensions::filters::http::router::v3::Router;
use xds_proto::envoy::extensions::filters::network::http_connection_manager::v3::{
    HttpConnectionManager, HttpFilter, Rds, http_connection_manager, http_filter,
};
use xds_proto::envoy::service::discovery::v3::{DiscoveryRequest, DiscoveryResponse};
use xds_proto::envoy::service::status::v3::client_config::GenericXdsConfig;
use xds_proto::envoy::service::status::v3::client_status_discovery_service_client::ClientStatusDiscoveryServiceClient;
use xds_proto::envoy::service::status::v3::{ClientConfig, ClientStatusRequest};
use xds_proto::envoy::r#type::matcher::v3::NodeMatcher;
use xds_proto::google::protobuf::Any;

type Csds = ClientStatusDiscoveryServiceClient<Channel>;

const LDS: &str = "type.googleapis.com/envoy.config.listener.v3.Listener";
const RDS: &str = "type.googleapis.com/envoy.config.route.v3.RouteConfiguration";

/// The service of this client, on a port of its own, until the test's runtime ends.
async fn serve(client: &XdsClient) -> Csds {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let uri = format!("http://{}", listener.local_addr().unwrap());
    let server = Server::builder().add_service(ClientStatusService::new([client]));
    tokio::spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));
    Csds::new(Channel::from_shared(uri).unwrap().connect().await.unwrap())
}

async fn fetch(csds: &mut Csds, request: ClientStatusRequest) -> ClientConfig {
    let mut answer = csds.fetch_client_status(request).await.unwrap().into_inner();
    assert_eq!(answer.config.len(), 1, "one client");
    answer.config.remove(0)
}

/// Waits until the client shows these states, by name; every resource by then.
async fn until(csds: &mut Csds, states: &[(&str, Shown)]) -> BTreeMap<String, GenericXdsConfig> {
    let wanted: BTreeMap<String, Shown> =
        states.iter().map(|(name, shown)| ((*name).to_owned(), *shown)).collect();
    eventually("the states are shown", async || {
        let config = fetch(csds, ClientStatusRequest::default()).await;
        let all: BTreeMap<_, _> =
            config.generic_xds_configs.into_iter().map(|known| (known.name.clone(), known)).collect();
        let shown: BTreeMap<_, _> =
            all.iter().map(|(name, known)| (name.clone(), known.client_status())).collect();
        if shown == wanted { Ok(all) } else { Err(format!("{shown:?}")) }
    })
    .await
}

/// The client's next request for listeners that names this many.
async fn listeners(stream: &mut MemoryStream, count: usize) -> DiscoveryRequest {
    loop {
        let request = stream.sotw_request().await.expect("the stream goes on");
        if request.type_url == LDS && request.resource_names.len() == count {
            return request;
        }
    }
}

fn response(version: &str, resources: Vec<Any>) -> DiscoveryResponse {
    DiscoveryResponse {
        version_info: version.to_owned(),
        resources,
        type_url: LDS.to_owned(),
        nonce: version.to_owned(),
        ..DiscoveryResponse::default()
    }
}

fn any<M: Message + Name>(message: &M) -> Any {
    Any { type_url: M::type_url(), value: message.encode_to_vec() }
}

fn listener(name: &str) -> Any {
    let ads = ConfigSourceSpecifier::Ads(AggregatedConfigSource::default());
    let rds = Rds {
        config_source: Some(Source { config_source_specifier: Some(ads), ..Source::default() }),
        route_config_name: format!("routes-of-{name}"),
    };
    let router = HttpFilter {
        name: "router".to_owned(),
        config_type: Some(http_filter::ConfigType::TypedConfig(any(&Router::default()))),
        ..HttpFilter::default()
    };
    let manager = HttpConnectionManager {
        route_specifier: Some(http_connection_manager::RouteSpecifier::Rds(rds)),
        http_filters: vec![router],
        ..HttpConnectionManager::default()
    };
    any(&Listener {
        name: name.to_owned(),
        api_listener: Some(ApiListener { api_listener: Some(any(&manager)) }),
        ..Listener::default()
    })
}

/// With an API listener that is not a connection manager.
fn bad_listener(name: &str) -> Any {
    any(&Listener {
        name: name.to_owned(),
        api_listener: Some(ApiListener { api_listener: Some(any(&Router::default())) }),
        ..Listener::default()
    })
}

/// Proves: TR-57, TR-58, TR-59, TR-61, TR-62, TR-63.
#[tokio::test]
async fn client_status_shows_watched_accepted_and_refused_resources() {
    let (transport, mut server) = memory::pair();
    let bootstrap = Bootstrap::builder().server(ServerConfig::insecure("control:15010")).node_id("n1");
    let client = start_with(bootstrap.build().unwrap(), transport, Options::default()).unwrap();
    let mut csds = serve(&client).await;
    let idle = fetch(&mut csds, ClientStatusRequest::default()).await;
    assert_eq!(idle.node.as_ref().map(|node| &*node.id), Some("n1"));
    assert_eq!((idle.generic_xds_configs.len(), &*idle.client_scope), (0, ""));

    let greeter = client.watch(&Target::new("greeter")).unwrap();
    let shop = client.watch(&Target::new("shop")).unwrap();
    let mut stream = server.accept().await.unwrap();
    let first = listeners(&mut stream, 2).await;
    assert_eq!(first.node, idle.node, "as sent on the wire");
    let both = [("greeter", Shown::Requested), ("shop", Shown::Requested)];
    let all = until(&mut csds, &both).await;
    assert!(all["greeter"].xds_config.is_none() && all["greeter"].last_updated.is_none());

    stream.respond(response("1", vec![listener("greeter"), listener("shop")]));
    let accepted = [
        ("greeter", Shown::Acked),
        ("shop", Shown::Acked),
        ("routes-of-greeter", Shown::Requested),
        ("routes-of-shop", Shown::Requested),
    ];
    let all = until(&mut csds, &accepted).await;
    let shown = &all["greeter"];
    assert_eq!((&*shown.type_url, &*shown.version_info), (LDS, "1"));
    assert_eq!(shown.xds_config, Some(listener("greeter")));
    assert!(shown.last_updated.is_some() && shown.error_state.is_none());
    assert_eq!(all["routes-of-greeter"].type_url, RDS);

    stream.respond(response("2", vec![bad_listener("greeter")]));
    let refused = [
        ("greeter", Shown::Nacked),
        ("shop", Shown::DoesNotExist),
        ("routes-of-greeter", Shown::Requested),
        ("routes-of-shop", Shown::Requested),
    ];
    let all = until(&mut csds, &refused).await;
    let shown = &all["greeter"];
    assert_eq!(shown.version_info, "1", "of what is in use");
    assert_eq!(shown.xds_config, Some(listener("greeter")));
    let error = shown.error_state.as_ref().unwrap();
    assert!(error.details.contains("api_listener"), "{error:?}");
    assert_eq!(error.version_info, "2");
    assert!(error.last_update_attempt.is_some());

    drop(shop);
    let left = [("greeter", Shown::Nacked), ("routes-of-greeter", Shown::Requested)];
    until(&mut csds, &left).await;
    let request = ClientStatusRequest { exclude_resource_contents: true, ..ClientStatusRequest::default() };
    let short = fetch(&mut csds, request).await;
    assert!(short.generic_xds_configs.iter().all(|known| known.xds_config.is_none()));
    drop(greeter);
    until(&mut csds, &[]).await;
}

/// Proves: TR-60.
#[tokio::test]
async fn client_status_has_only_its_own_client() {
    let (transport, _server) = memory::pair();
    let bootstrap = Bootstrap::builder().server(ServerConfig::insecure("control:15010")).node_id("n1");
    let client = start_with(bootstrap.build().unwrap(), transport, Options::default()).unwrap();
    let mut csds = serve(&client).await;
    let request = || ClientStatusRequest {
        node_matchers: vec![NodeMatcher::default()],
        ..ClientStatusRequest::default()
    };
    let fetched = csds.fetch_client_status(request()).await;
    assert_eq!(fetched.unwrap_err().code(), Code::InvalidArgument);
    let streamed = csds.stream_client_status(tokio_stream::once(request())).await;
    let streamed = match streamed {
        Ok(answers) => answers.into_inner().message().await.unwrap_err(),
        Err(status) => status,
    };
    assert_eq!(streamed.code(), Code::InvalidArgument);
}
