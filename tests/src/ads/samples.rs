//! Resources as a control-server would send them, for tests to change.

use std::net::SocketAddr;

use xds_proto::envoy::config::cluster::v3::Cluster;
use xds_proto::envoy::config::cluster::v3::cluster::{ClusterDiscoveryType, DiscoveryType, EdsClusterConfig};
use xds_proto::envoy::config::core::v3::config_source::ConfigSourceSpecifier;
use xds_proto::envoy::config::core::v3::socket_address::PortSpecifier;
use xds_proto::envoy::config::core::v3::{
    Address, AggregatedConfigSource, ConfigSource, Locality, SocketAddress, address,
};
use xds_proto::envoy::config::endpoint::v3::lb_endpoint::HostIdentifier;
use xds_proto::envoy::config::endpoint::v3::{
    ClusterLoadAssignment, Endpoint, LbEndpoint, LocalityLbEndpoints,
};
use xds_proto::envoy::config::listener::v3::{ApiListener, Listener};
use xds_proto::envoy::config::route::v3::header_matcher::HeaderMatchSpecifier;
use xds_proto::envoy::config::route::v3::route::Action;
use xds_proto::envoy::config::route::v3::route_action::ClusterSpecifier;
use xds_proto::envoy::config::route::v3::route_match::PathSpecifier;
use xds_proto::envoy::config::route::v3::{
    HeaderMatcher, Route, RouteAction, RouteConfiguration, RouteMatch, VirtualHost,
};
use xds_proto::envoy::extensions::filters::http::router::v3::Router;
use xds_proto::envoy::extensions::filters::network::http_connection_manager::v3::http_connection_manager::RouteSpecifier;
use xds_proto::envoy::extensions::filters::network::http_connection_manager::v3::http_filter::ConfigType;
use xds_proto::envoy::extensions::filters::network::http_connection_manager::v3::{
    HttpConnectionManager, HttpFilter, Rds,
};
use xds_proto::envoy::r#type::matcher::v3::StringMatcher;
use xds_proto::envoy::r#type::matcher::v3::string_matcher::MatchPattern;
use xds_proto::google::protobuf::UInt32Value;

pub use xds_proto::pack_any as pack;

/// "The server that sent this."
pub fn ads() -> Option<ConfigSource> {
    let ads = ConfigSourceSpecifier::Ads(AggregatedConfigSource::default());
    Some(ConfigSource { config_source_specifier: Some(ads), ..ConfigSource::default() })
}

/// A client's listener with these routes.
pub fn listener(name: &str, routes: &str) -> Listener {
    let rds = Rds { config_source: ads(), route_config_name: routes.to_owned() };
    let router = HttpFilter {
        name: "router".to_owned(),
        config_type: Some(ConfigType::TypedConfig(pack(Router::default()))),
        ..HttpFilter::default()
    };
    let manager = HttpConnectionManager {
        route_specifier: Some(RouteSpecifier::Rds(rds)),
        http_filters: vec![router],
        ..HttpConnectionManager::default()
    };
    let api_listener = Some(ApiListener { api_listener: Some(pack(manager)) });
    Listener { name: name.to_owned(), api_listener, ..Listener::default() }
}

/// Routes by the header `x-cluster`, which names one of these clusters; what names none goes to the first.
pub fn routes(name: &str, clusters: &[String]) -> RouteConfiguration {
    let mut routes: Vec<_> =
        clusters.iter().map(|cluster| route(cluster, vec![exactly("x-cluster", cluster)])).collect();
    routes.extend(clusters.first().map(|cluster| route(cluster, Vec::new())));
    let host = VirtualHost {
        name: "all".to_owned(),
        domains: vec!["*".to_owned()],
        routes,
        ..VirtualHost::default()
    };
    RouteConfiguration { name: name.to_owned(), virtual_hosts: vec![host], ..RouteConfiguration::default() }
}

fn route(cluster: &str, headers: Vec<HeaderMatcher>) -> Route {
    let matches = RouteMatch {
        path_specifier: Some(PathSpecifier::Prefix(String::new())),
        headers,
        ..RouteMatch::default()
    };
    let action = RouteAction {
        cluster_specifier: Some(ClusterSpecifier::Cluster(cluster.to_owned())),
        ..RouteAction::default()
    };
    Route { r#match: Some(matches), action: Some(Action::Route(action)), ..Route::default() }
}

fn exactly(header: &str, value: &str) -> HeaderMatcher {
    let matcher = StringMatcher {
        match_pattern: Some(MatchPattern::Exact(value.to_owned())),
        ..StringMatcher::default()
    };
    HeaderMatcher {
        name: header.to_owned(),
        header_match_specifier: Some(HeaderMatchSpecifier::StringMatch(matcher)),
        ..HeaderMatcher::default()
    }
}

/// A cluster whose endpoints come from the same server, under `service`.
pub fn cluster(name: &str, service: &str) -> Cluster {
    let eds = EdsClusterConfig { eds_config: ads(), service_name: service.to_owned() };
    Cluster {
        name: name.to_owned(),
        cluster_discovery_type: Some(ClusterDiscoveryType::Type(DiscoveryType::Eds as i32)),
        eds_cluster_config: Some(eds),
        ..Cluster::default()
    }
}

/// The endpoints of a cluster or service, all in one locality.
pub fn endpoints(name: &str, addresses: impl IntoIterator<Item = SocketAddr>) -> ClusterLoadAssignment {
    let locality = LocalityLbEndpoints {
        locality: Some(Locality { region: "here".to_owned(), ..Locality::default() }),
        load_balancing_weight: Some(UInt32Value { value: 1 }),
        lb_endpoints: addresses.into_iter().map(endpoint).collect(),
        ..LocalityLbEndpoints::default()
    };
    ClusterLoadAssignment {
        cluster_name: name.to_owned(),
        endpoints: vec![locality],
        ..ClusterLoadAssignment::default()
    }
}

/// One endpoint.
pub fn endpoint(address: SocketAddr) -> LbEndpoint {
    let endpoint =
        Endpoint { address: socket(&address.ip().to_string(), address.port().into()), ..Endpoint::default() };
    LbEndpoint { host_identifier: Some(HostIdentifier::Endpoint(endpoint)), ..LbEndpoint::default() }
}

/// A host, by address or name, and a port.
pub fn socket(host: &str, port: u32) -> Option<Address> {
    let socket = SocketAddress {
        address: host.to_owned(),
        port_specifier: Some(PortSpecifier::PortValue(port)),
        ..SocketAddress::default()
    };
    Some(Address { address: Some(address::Address::SocketAddress(socket)) })
}
