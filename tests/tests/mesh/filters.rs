//! What a control plane configures of a user's own, a filter and a load-balancing policy; and faults.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use examples::greeter::HelloRequest;
use examples::greeter::greeter_client::GreeterClient;
use examples::heaviest::HeaviestType;
use examples::service::{GreeterService, serve};
use examples::team_filter::TeamType;
use mesh_core::Mesh;
use mesh_tonic::MeshChannel;
use prost::Message;
use tests::ads::{AdsServer, CLUSTER, ENDPOINTS, LISTENER, ROUTES, samples};
use tests::eventually;
use tokio::net::TcpListener;
use tonic::{Code, Request, Status};
use xds_client::bootstrap::{Bootstrap, ServerConfig};
use xds_client::resource::{FilterRegistry, LbPolicyRegistry};
use xds_client::transport::GrpcTransport;
use xds_client::{Options, XdsClient, start_with};
use xds_proto::envoy::config::cluster::v3::load_balancing_policy::Policy;
use xds_proto::envoy::config::cluster::v3::{Cluster, LoadBalancingPolicy};
use xds_proto::envoy::config::core::v3::{RuntimeFractionalPercent, TypedExtensionConfig};
use xds_proto::envoy::config::listener::v3::{ApiListener, Listener};
use xds_proto::envoy::config::route::v3::RouteConfiguration;
use xds_proto::envoy::extensions::filters::http::fault::v3::fault_abort::ErrorType;
use xds_proto::envoy::extensions::filters::http::fault::v3::{FaultAbort, HttpFault};
use xds_proto::envoy::extensions::filters::http::local_ratelimit::v3::LocalRateLimit;
use xds_proto::envoy::extensions::filters::network::http_connection_manager::v3::http_filter::ConfigType;
use xds_proto::envoy::extensions::filters::network::http_connection_manager::v3::{
    HttpConnectionManager, HttpFilter,
};
use xds_proto::envoy::r#type::v3::{FractionalPercent, TokenBucket};
use xds_proto::google::protobuf::{Any, Struct, Value, value::Kind};

/// `xds.type.v3.TypedStruct`.
#[derive(Clone, PartialEq, Message)]
struct TypedStruct {
    #[prost(string, tag = "1")]
    type_url: String,
    #[prost(message, optional, tag = "2")]
    value: Option<Struct>,
}

fn team(name: &str) -> Any {
    typed("mesh.examples.Team", "name", Kind::StringValue(name.to_owned()))
}

/// A `TypedStruct` of one field.
fn typed(type_name: &str, field: &str, kind: Kind) -> Any {
    let value = Some(Struct { fields: [(field.to_owned(), Value { kind: Some(kind) })].into() });
    let typed = TypedStruct { type_url: format!("type.googleapis.com/{type_name}"), value };
    Any { type_url: "type.googleapis.com/xds.type.v3.TypedStruct".to_owned(), value: typed.encode_to_vec() }
}

/// The sample's listener with a filter before its router.
fn listener(filter: &str, config: Any) -> Listener {
    let sample = samples::listener("greeter", "routes");
    let manager = sample.api_listener.and_then(|api| api.api_listener).unwrap();
    let mut manager = HttpConnectionManager::decode(manager.value.as_slice()).unwrap();
    let filter = HttpFilter {
        name: filter.to_owned(),
        config_type: Some(ConfigType::TypedConfig(config)),
        ..HttpFilter::default()
    };
    manager.http_filters.insert(0, filter);
    let api_listener = Some(ApiListener { api_listener: Some(samples::pack(manager)) });
    Listener { name: sample.name, api_listener, ..Listener::default() }
}

fn routes(overridden: Option<(&str, Any)>) -> RouteConfiguration {
    let mut routes = samples::routes("routes", &["greeter".to_owned()]);
    let overridden = overridden.into_iter().map(|(name, any)| (name.to_owned(), any));
    routes.virtual_hosts[0].typed_per_filter_config = overridden.collect();
    routes
}

/// Sends it as the only resource of its type, under a version of its own.
fn put(server: &AdsServer, type_url: &str, name: &str, resource: Any) {
    static VERSION: AtomicU32 = AtomicU32::new(1);
    let version = VERSION.fetch_add(1, Ordering::Relaxed).to_string();
    server.put(type_url, &version, [(name.to_owned(), resource)]);
}

async fn endpoint() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(serve(GreeterService::new("a", "v1"), listener, std::future::pending()));
    address
}

async fn serving(filter: &str, config: Any) -> (AdsServer, GreeterClient<MeshChannel>) {
    let (server, client, _) = observed(filter, config).await;
    (server, client)
}

/// The same, with the client whose metrics tell what has happened.
async fn observed(filter: &str, config: Any) -> (AdsServer, GreeterClient<MeshChannel>, XdsClient) {
    let server = AdsServer::start().await;
    put(&server, LISTENER, "greeter", samples::pack(listener(filter, config)));
    put(&server, ROUTES, "routes", samples::pack(routes(None)));
    put(&server, CLUSTER, "greeter", samples::pack(samples::cluster("greeter", "greeter")));
    put(&server, ENDPOINTS, "greeter", samples::pack(samples::endpoints("greeter", [endpoint().await])));
    let bootstrap = Bootstrap::builder()
        .server(ServerConfig::insecure(server.address.to_string()))
        .node_id("n1")
        .build()
        .unwrap();
    let options = Options::default()
        .with_filters(FilterRegistry::default().with(TeamType))
        .with_lb_policies(LbPolicyRegistry::default().with(HeaviestType));
    let xds = start_with(bootstrap, GrpcTransport::new(&options), options).unwrap();
    let channel = MeshChannel::builder("greeter").mesh(&Mesh::new(xds.clone())).build().unwrap();
    (server, GreeterClient::new(channel), xds)
}

fn hello() -> Request<HelloRequest> {
    Request::new(HelloRequest { name: "you".to_owned(), count: 0 })
}

async fn claim(client: &mut GreeterClient<MeshChannel>) -> Result<(), Status> {
    let mut request = hello();
    request.metadata_mut().insert("x-team", "another".parse().unwrap());
    client.say_hello(request).await.map(drop)
}

#[tokio::test]
async fn filter_of_a_user_is_configured_by_the_control_plane() {
    let (server, mut client) = serving("team", team("shop")).await;
    client.say_hello(hello()).await.unwrap();
    assert_eq!(claim(&mut client).await.unwrap_err().code(), Code::PermissionDenied);
    // a configuration that its type refuses refuses the listener, and what was good stays
    put(&server, LISTENER, "greeter", samples::pack(listener("team", team(""))));
    eventually("the listener is refused with the field's name", async || {
        let errors: Vec<_> = server.seen().into_iter().map(|seen| seen.error).collect();
        let text = "http_filters[0].typed_config.name: expected the name of a team";
        if errors.iter().any(|error| error.contains(text)) { Ok(()) } else { Err(format!("{errors:?}")) }
    })
    .await;
    assert_eq!(claim(&mut client).await.unwrap_err().code(), Code::PermissionDenied);
}

/// The only endpoint has the weight 1.
#[tokio::test]
async fn balancer_of_a_user_is_configured_by_the_control_plane() {
    let (server, mut client) = serving("team", team("shop")).await;
    client.say_hello(hello()).await.unwrap();
    let put_policy = |least: f64| {
        let config = TypedExtensionConfig {
            name: "heaviest".to_owned(),
            typed_config: Some(typed("mesh.examples.Heaviest", "least", Kind::NumberValue(least))),
        };
        let policies = vec![Policy { typed_extension_config: Some(config) }];
        let load_balancing_policy = Some(LoadBalancingPolicy { policies });
        let cluster = Cluster { load_balancing_policy, ..samples::cluster("greeter", "greeter") };
        put(&server, CLUSTER, "greeter", samples::pack(cluster));
    };
    put_policy(2.0);
    eventually("no endpoint is heavy enough, and calls wait", async || {
        let mut request = hello();
        request.set_timeout(Duration::from_millis(200));
        match client.clone().say_hello(request).await {
            Err(status) if status.code() == Code::DeadlineExceeded => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
    put_policy(1.0);
    client.say_hello(hello()).await.unwrap();
}

#[tokio::test]
async fn faults_begin_and_end_with_the_routes() {
    let (server, mut client) = serving("fault", samples::pack(HttpFault::default())).await;
    client.say_hello(hello()).await.unwrap();
    let abort = FaultAbort {
        percentage: Some(FractionalPercent { numerator: 100, denominator: 0 }),
        error_type: Some(ErrorType::GrpcStatus(8)),
        ..FaultAbort::default()
    };
    let fault = samples::pack(HttpFault { abort: Some(abort), ..HttpFault::default() });
    put(&server, ROUTES, "routes", samples::pack(routes(Some(("fault", fault)))));
    eventually("calls are aborted", async || match client.say_hello(hello()).await {
        Err(status) if status.code() == Code::ResourceExhausted => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .await;
    put(&server, ROUTES, "routes", samples::pack(routes(None)));
    eventually("calls pass", async || {
        client.say_hello(hello()).await.map(drop).map_err(|error| error.to_string())
    })
    .await;
}

fn rate_limit(name: &str, max_tokens: u32) -> Any {
    let hour = Some(xds_proto::google::protobuf::Duration { seconds: 3600, nanos: 0 });
    let default_value = Some(FractionalPercent { numerator: 100, denominator: 0 });
    let share = Some(RuntimeFractionalPercent { default_value, ..RuntimeFractionalPercent::default() });
    samples::pack(LocalRateLimit {
        stat_prefix: name.to_owned(),
        token_bucket: Some(TokenBucket { max_tokens, tokens_per_fill: None, fill_interval: hour }),
        filter_enabled: share.clone(),
        filter_enforced: share,
        rate_limited_as_resource_exhausted: true,
        enable_retry_after_header: true,
        ..LocalRateLimit::default()
    })
}

/// Proves: HF-38, HF-39.
#[tokio::test]
async fn calls_over_a_configured_rate_limit_fail_and_are_counted() {
    let (server, mut client, xds) = observed("limit", rate_limit("listener", 3)).await;
    for _ in 0..3 {
        client.say_hello(hello()).await.unwrap();
    }
    let refused = client.say_hello(hello()).await.unwrap_err();
    assert_eq!(refused.code(), Code::ResourceExhausted, "{refused:?}");
    assert!(refused.message().contains("rate limit \"listener\""), "{refused:?}");
    assert_eq!(refused.metadata().get("retry-after").unwrap(), "3600");

    let overridden = routes(Some(("limit", rate_limit("host", 1))));
    put(&server, ROUTES, "routes", samples::pack(overridden));
    eventually("the virtual host's limit has a bucket of its own", async || {
        client.say_hello(hello()).await.map(drop).map_err(|status| status.to_string())
    })
    .await;
    let refused = client.say_hello(hello()).await.unwrap_err();
    assert!(refused.message().contains("rate limit \"host\""), "{refused:?}");
    let metrics = xds.metrics();
    let counted = metrics.iter().find(|metric| metric.name == "mesh.rate_limit.calls").unwrap();
    let passed = counted.points.iter().filter(|point| point.labels.iter().any(|(_, of)| **of == *"passed"));
    assert_eq!(passed.map(|point| point.value).sum::<u64>(), 4);
}
