//! Thirty-odd kinds of clusters that no client may take.

use std::net::SocketAddr;

use tests::ads::samples::{self, pack};
use xds_proto::envoy::config::cluster::v3::cluster::ring_hash_lb_config::HashFunction;
use xds_proto::envoy::config::cluster::v3::cluster::{
    ClusterDiscoveryType, CustomClusterType, DiscoveryType, EdsClusterConfig, LbConfig, LbPolicy,
    LeastRequestLbConfig, RingHashLbConfig, TransportSocketMatch,
};
use xds_proto::envoy::config::cluster::v3::load_balancing_policy::Policy;
use xds_proto::envoy::config::cluster::v3::{Cluster, LoadBalancingPolicy, OutlierDetection};
use xds_proto::envoy::config::core::v3::config_source::ConfigSourceSpecifier;
use xds_proto::envoy::config::core::v3::transport_socket::ConfigType;
use xds_proto::envoy::config::core::v3::{
    ApiConfigSource, ConfigSource, PathConfigSource, TransportSocket, TypedExtensionConfig,
};
use xds_proto::envoy::config::endpoint::v3::{ClusterLoadAssignment, LbEndpoint};
use xds_proto::envoy::extensions::clusters::aggregate::v3::ClusterConfig;
use xds_proto::envoy::extensions::load_balancing_policies::wrr_locality::v3::WrrLocality;
use xds_proto::google::protobuf::{Any, Duration, UInt32Value, UInt64Value};

/// What is done to a good cluster, and the field that is to be named.
pub(crate) type Mistake = (&'static str, fn(&mut Cluster));

pub(crate) const MISTAKES: &[Mistake] = &[
    ("type", |cluster| cluster.cluster_discovery_type = None),
    ("type", |cluster| discover(cluster, DiscoveryType::Static)),
    ("type", |cluster| discover(cluster, DiscoveryType::StrictDns)),
    ("type", |cluster| discover(cluster, DiscoveryType::OriginalDst)),
    ("type", |cluster| cluster.cluster_discovery_type = Some(ClusterDiscoveryType::Type(99))),
    ("eds_cluster_config.eds_config", |cluster| cluster.eds_cluster_config = None),
    ("eds_cluster_config.eds_config", |cluster| from(cluster, None)),
    ("eds_cluster_config.eds_config", |cluster| {
        from(cluster, Some(ConfigSourceSpecifier::PathConfigSource(PathConfigSource::default())));
    }),
    ("eds_cluster_config.eds_config", |cluster| {
        from(cluster, Some(ConfigSourceSpecifier::ApiConfigSource(ApiConfigSource::default())));
    }),
    ("load_assignment.endpoints", |cluster| discover(cluster, DiscoveryType::LogicalDns)),
    ("load_assignment.endpoints[0].lb_endpoints", |cluster| dns(cluster, |_| Vec::new())),
    ("load_assignment.endpoints[0].lb_endpoints", |cluster| {
        dns(cluster, |endpoint| vec![endpoint.clone(), endpoint]);
    }),
    ("lb_endpoints[0].endpoint", |cluster| dns(cluster, |_| vec![LbEndpoint::default()])),
    ("socket_address.address", |cluster| dns(cluster, |_| vec![at("", 443)])),
    ("socket_address.port_value", |cluster| dns(cluster, |_| vec![at("greeter.example", 0)])),
    ("socket_address.port_value", |cluster| dns(cluster, |_| vec![at("greeter.example", 65_536)])),
    ("cluster_type.typed_config", |cluster| custom(cluster, None)),
    ("cluster_type.typed_config", |cluster| custom(cluster, Some(unknown()))),
    ("cluster_type.typed_config.clusters", |cluster| {
        custom(cluster, Some(pack(ClusterConfig { clusters: Vec::new() })));
    }),
    ("cluster_type.typed_config.clusters[1]", |cluster| {
        custom(cluster, Some(pack(ClusterConfig { clusters: vec!["c0".to_owned(), String::new()] })));
    }),
    ("cluster_type.typed_config", |cluster| {
        let whole = pack(ClusterConfig { clusters: vec!["c0".to_owned()] });
        custom(cluster, Some(Any { value: vec![0xff; 9], ..whole }));
    }),
    ("transport_socket_matches", |cluster| {
        cluster.transport_socket_matches = vec![TransportSocketMatch::default()];
    }),
    ("transport_socket.typed_config", |cluster| cluster.transport_socket = Some(TransportSocket::default())),
    ("transport_socket", |cluster| {
        let config_type = Some(ConfigType::TypedConfig(unknown()));
        cluster.transport_socket = Some(TransportSocket { name: "odd".to_owned(), config_type });
    }),
    ("lrs_server", |cluster| cluster.lrs_server = samples::ads()),
    ("lb_policy", |cluster| cluster.lb_policy = LbPolicy::Maglev as i32),
    ("lb_policy", |cluster| cluster.lb_policy = LbPolicy::Random as i32),
    ("lb_policy", |cluster| cluster.lb_policy = 99),
    ("ring_hash_lb_config.hash_function", |cluster| {
        ring(cluster, |ring| ring.hash_function = HashFunction::MurmurHash2 as i32);
    }),
    ("ring_hash_lb_config.minimum_ring_size", |cluster| {
        ring(cluster, |ring| {
            (ring.minimum_ring_size, ring.maximum_ring_size) = (size(2048), size(1024));
        });
    }),
    ("ring_hash_lb_config.maximum_ring_size", |cluster| {
        ring(cluster, |ring| ring.maximum_ring_size = size(8_388_609));
    }),
    ("least_request_lb_config.choice_count", |cluster| {
        cluster.lb_policy = LbPolicy::LeastRequest as i32;
        let choice_count = percent(1);
        cluster.lb_config = Some(LbConfig::LeastRequestLbConfig(LeastRequestLbConfig {
            choice_count,
            ..LeastRequestLbConfig::default()
        }));
    }),
    ("load_balancing_policy.policies", |cluster| policy(cluster, Vec::new())),
    ("load_balancing_policy.policies", |cluster| policy(cluster, vec![pack(ClusterConfig::default())])),
    ("endpoint_picking_policy", |cluster| {
        policy(cluster, vec![pack(WrrLocality { endpoint_picking_policy: None })]);
    }),
    ("outlier_detection.interval", |cluster| {
        outlier(cluster, |outlier| outlier.interval = Some(Duration { seconds: -1, nanos: 0 }));
    }),
    ("outlier_detection.max_ejection_percent", |cluster| {
        outlier(cluster, |outlier| outlier.max_ejection_percent = percent(101));
    }),
    ("outlier_detection.enforcing_success_rate", |cluster| {
        outlier(cluster, |outlier| outlier.enforcing_success_rate = percent(101));
    }),
    ("outlier_detection.failure_percentage_threshold", |cluster| {
        outlier(cluster, |outlier| outlier.failure_percentage_threshold = percent(101));
    }),
];

fn discover(cluster: &mut Cluster, kind: DiscoveryType) {
    cluster.cluster_discovery_type = Some(ClusterDiscoveryType::Type(kind as i32));
}

fn from(cluster: &mut Cluster, source: Option<ConfigSourceSpecifier>) {
    let eds_config = source.map(|specifier| ConfigSource {
        config_source_specifier: Some(specifier),
        ..ConfigSource::default()
    });
    let service_name = "all".to_owned();
    cluster.eds_cluster_config = Some(EdsClusterConfig { eds_config, service_name });
}

fn dns(cluster: &mut Cluster, endpoints: fn(LbEndpoint) -> Vec<LbEndpoint>) {
    discover(cluster, DiscoveryType::LogicalDns);
    let mut assignment: ClusterLoadAssignment = samples::endpoints("", []);
    assignment.endpoints[0].lb_endpoints = endpoints(at("greeter.example", 443));
    cluster.load_assignment = Some(assignment);
}

fn at(host: &str, port: u32) -> LbEndpoint {
    use xds_proto::envoy::config::endpoint::v3::lb_endpoint::HostIdentifier;
    let mut endpoint = samples::endpoint(SocketAddr::from(([127, 0, 0, 1], 1)));
    if let Some(HostIdentifier::Endpoint(inner)) = &mut endpoint.host_identifier {
        inner.address = samples::socket(host, port);
    }
    endpoint
}

fn custom(cluster: &mut Cluster, typed_config: Option<Any>) {
    let custom = CustomClusterType { name: "aggregate".to_owned(), typed_config };
    cluster.cluster_discovery_type = Some(ClusterDiscoveryType::ClusterType(custom));
}

fn unknown() -> Any {
    Any { type_url: "type.googleapis.com/example.Unknown".to_owned(), value: vec![0xff; 7] }
}

fn ring(cluster: &mut Cluster, change: fn(&mut RingHashLbConfig)) {
    let mut config = RingHashLbConfig::default();
    change(&mut config);
    cluster.lb_policy = LbPolicy::RingHash as i32;
    cluster.lb_config = Some(LbConfig::RingHashLbConfig(config));
}

#[expect(clippy::unnecessary_wraps, reason = "the fields are optional")]
fn size(value: u64) -> Option<UInt64Value> {
    Some(UInt64Value { value })
}

fn policy(cluster: &mut Cluster, configs: Vec<Any>) {
    let policy = |config| {
        let typed_config = Some(config);
        let extension = TypedExtensionConfig { typed_config, ..TypedExtensionConfig::default() };
        Policy { typed_extension_config: Some(extension) }
    };
    let policies = configs.into_iter().map(policy).collect();
    cluster.load_balancing_policy = Some(LoadBalancingPolicy { policies });
}

fn outlier(cluster: &mut Cluster, change: fn(&mut OutlierDetection)) {
    let mut outlier = OutlierDetection::default();
    change(&mut outlier);
    cluster.outlier_detection = Some(outlier);
}

#[expect(clippy::unnecessary_wraps, reason = "the fields are optional")]
fn percent(value: u32) -> Option<UInt32Value> {
    Some(UInt32Value { value })
}
