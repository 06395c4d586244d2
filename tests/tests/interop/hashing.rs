//! Ring hash and Maglev: our client and an Envoy choose the same endpoint for the same key.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::sync::Arc;

use examples::greeter::HelloRequest;
use examples::greeter::greeter_client::GreeterClient;
use mesh_core::Mesh;
use mesh_core::config::{
    Cluster, ClusterSettings, Discovery, DomainPattern, Endpoint, EndpointSet, Forward, HashPolicy, LbPolicy,
    Locality, LocalityPolicy, Maglev, MeshConfig, Priority, RingHash, Route, RouteAction, RouteMatch,
    VirtualHost,
};
use mesh_tonic::MeshChannel;
use serde_json::{Value, json};
use tests::envoy::Envoy;
use tests::scripted::Scripted;
use tonic::Request;
use tonic::transport::Channel;

/// A cluster: Envoy's settings, ours, and the weights of its endpoints.
struct Case {
    name: &'static str,
    envoys: fn() -> Value,
    ours: LbPolicy,
    weights: [u32; ENDPOINTS],
}

const ENDPOINTS: usize = 5;
const KEYS: usize = 300;

/// Weights are shares without a remainder: Envoy keeps them as doubles, gRPC (A113) in 31 bits, which may differ by one entry.
fn cases() -> [Case; 4] {
    let ring = LbPolicy::RingHash(RingHash::new(1024, 4096));
    let maglev = LbPolicy::Maglev(Maglev::default());
    let envoys_ring = || json!({"lb_policy": "RING_HASH", "ring_hash_lb_config": {"minimum_ring_size": 1024, "maximum_ring_size": 4096}});
    let envoys_maglev = || json!({"lb_policy": "MAGLEV"});
    let case = |name, envoys, ours, weights| Case { name, envoys, ours, weights };
    [
        case("ring", envoys_ring, ring.clone(), [1; ENDPOINTS]),
        case("weighted-ring", envoys_ring, ring, [1, 2, 1, 4, 8]),
        case("maglev", envoys_maglev, maglev.clone(), [1; ENDPOINTS]),
        case("weighted-maglev", envoys_maglev, maglev, [1, 2, 1, 4, 8]),
    ]
}

/// The text that stands for an endpoint in the tables, so that its port does not count.
fn hash_key(number: usize) -> String {
    format!("pod-{number}")
}

/// Which endpoint answers for each key.
async fn choices(client: &mut GreeterClient<impl Service>) -> Vec<String> {
    let mut choices = Vec::with_capacity(KEYS);
    for key in 0..KEYS {
        let mut request = Request::new(HelloRequest { name: "you".to_owned(), count: 1 });
        request.metadata_mut().insert("x-key", format!("key-{key}").parse().unwrap());
        choices.push(client.say_hello(request).await.unwrap().into_inner().endpoint);
    }
    choices
}

/// What a generated client needs of a channel.
trait Service:
    tonic::client::GrpcService<
        tonic::body::Body,
        Error: Into<Box<dyn std::error::Error + Send + Sync>>,
        ResponseBody: tonic::codegen::Body<
            Data = tonic::codegen::Bytes,
            Error: Into<Box<dyn std::error::Error + Send + Sync>> + Send,
        > + Send
                          + 'static,
    >
{
}

impl<S> Service for S
where
    S: tonic::client::GrpcService<tonic::body::Body>,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    S::ResponseBody: tonic::codegen::Body<Data = tonic::codegen::Bytes> + Send + 'static,
    <S::ResponseBody as tonic::codegen::Body>::Error: Into<Box<dyn std::error::Error + Send + Sync>> + Send,
{
}

fn mesh(case: &Case, addresses: &[SocketAddr]) -> Mesh {
    let endpoints = addresses.iter().zip(case.weights).enumerate().map(|(number, (address, weight))| {
        let mut endpoint = Endpoint::new(*address);
        endpoint = endpoint.with_hash_key(hash_key(number));
        endpoint.weight = NonZeroU32::new(weight).unwrap();
        endpoint
    });
    let locality = Arc::new(Locality::of(endpoints.collect()));
    let set = EndpointSet::new(vec![Priority::new([locality])]);
    let mut settings = ClusterSettings::new(case.name).with_lb_policy(case.ours.clone());
    settings.locality_policy = LocalityPolicy::Flat;
    let cluster = Cluster::new(settings, Discovery::Endpoints(Ok(Arc::new(set))));
    let mut forward = Forward::to(case.name);
    let name = "x-key".parse().unwrap();
    forward.hash_policies = vec![HashPolicy::Header { name, rewrite: None, terminal: false }];
    let route = Route::new(RouteMatch::any(), RouteAction::Forward(forward));
    let host = VirtualHost::new(case.name, vec![DomainPattern::Any], vec![Arc::new(route)]);
    let clusters = [(case.name.into(), Ok(cluster))].into();
    let config = MeshConfig::new(vec![Arc::new(host)], clusters, None).unwrap();
    Mesh::fixed(config.for_target(case.name))
}

fn envoys_cluster(case: &Case, addresses: &[SocketAddr]) -> Value {
    let endpoints: Vec<_> = addresses
        .iter()
        .zip(case.weights)
        .enumerate()
        .map(|(number, (address, weight))| {
            let socket = json!({"address": address.ip().to_string(), "port_value": address.port()});
            json!({
                "endpoint": {"address": {"socket_address": socket}},
                "load_balancing_weight": weight,
                "metadata": {"filter_metadata": {"envoy.lb": {"hash_key": hash_key(number)}}},
            })
        })
        .collect();
    let mut cluster = json!({
        "name": case.name, "type": "STATIC",
        "load_assignment": {"cluster_name": case.name, "endpoints": [{"lb_endpoints": endpoints}]},
        "typed_extension_protocol_options": {"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
            "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
            "explicit_http_config": {"http2_protocol_options": {}},
        }},
    });
    for (field, value) in (case.envoys)().as_object().unwrap() {
        cluster[field] = value.clone();
    }
    cluster
}

fn bootstrap(addresses: &[SocketAddr]) -> Value {
    let clusters: Vec<_> = cases().iter().map(|case| envoys_cluster(case, addresses)).collect();
    let host = |case: &Case| {
        let hash_policy = json!([{"header": {"header_name": "x-key"}}]);
        json!({
            "name": case.name, "domains": [case.name],
            "routes": [{"match": {"prefix": "/"}, "route": {"cluster": case.name, "hash_policy": hash_policy}}],
        })
    };
    let hosts: Vec<_> = cases().iter().map(host).collect();
    let manager = json!({
        "@type": "type.googleapis.com/\
            envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "greeter", "codec_type": "HTTP2",
        "route_config": {"virtual_hosts": hosts},
        "http_filters": [{"name": "envoy.filters.http.router", "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router",
        }}],
    });
    let any_port = json!({"socket_address": {"address": "127.0.0.1", "port_value": 0}});
    json!({
        "node": {"id": "envoy", "cluster": "tests"},
        "admin": {"address": any_port},
        "static_resources": {
            "clusters": clusters,
            "listeners": [{
                "name": "greeter", "address": any_port,
                "filter_chains": [{"filters": [{
                    "name": "envoy.filters.network.http_connection_manager", "typed_config": manager,
                }]}],
            }],
        },
    })
}

/// LB-35, LB-36, LB-49
#[tokio::test]
async fn our_client_and_envoy_choose_the_same_endpoint_for_the_same_key() {
    let Some(program) = Envoy::find("the same choice by hash") else { return };
    let mut servers = Vec::new();
    for number in 0..ENDPOINTS {
        servers.push(Scripted::start(&format!("e{number}"), ".").await);
    }
    let addresses: Vec<_> = servers.iter().map(|server| server.address).collect();
    let envoy = Envoy::with_bootstrap(program, &bootstrap(&addresses).to_string()).await;
    for case in cases() {
        let endpoint = Channel::from_shared(format!("http://{}", envoy.address)).unwrap();
        let origin = format!("http://{}", case.name).parse().unwrap();
        let by_envoy = choices(&mut GreeterClient::new(endpoint.origin(origin).connect_lazy())).await;
        let channel = MeshChannel::builder(case.name).mesh(&mesh(&case, &addresses)).build().unwrap();
        let ours = choices(&mut GreeterClient::new(channel)).await;
        let mut used: BTreeMap<&str, usize> = BTreeMap::new();
        ours.iter().for_each(|endpoint| *used.entry(endpoint).or_default() += 1);
        assert_eq!(used.len(), ENDPOINTS, "{}: {used:?}", case.name);
        let different = ours.iter().zip(&by_envoy).filter(|(ours, theirs)| ours != theirs).count();
        assert_eq!(different, 0, "{}: {different} of {KEYS} keys", case.name);
    }
}
