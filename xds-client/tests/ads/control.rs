//! A control server small enough to read, and the resources that it serves.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use mesh_core::config::{Discovery, MeshConfig};
use mesh_core::runtime::{ConfigState, ConfigWatch};
use prost::{Message, Name};
use xds_client::bootstrap::{Bootstrap, ServerConfig};
use xds_proto::envoy::config::cluster::v3::Cluster;
use xds_proto::envoy::config::cluster::v3::cluster::{ClusterDiscoveryType, DiscoveryType, EdsClusterConfig};
use xds_proto::envoy::config::core::v3::{
    Address, AggregatedConfigSource, ConfigSource, Locality, SocketAddress, address, config_source,
    socket_address,
};
use xds_proto::envoy::config::endpoint::v3::{
    ClusterLoadAssignment, Endpoint, LbEndpoint, LocalityLbEndpoints, lb_endpoint,
};
use xds_proto::envoy::config::listener::v3::{ApiListener, Listener};
use xds_proto::envoy::config::route::v3::{
    Route, RouteAction, RouteConfiguration, RouteMatch, VirtualHost, route, route_action, route_match,
};
use xds_proto::envoy::extensions::filters::http::router::v3::Router;
use xds_proto::envoy::extensions::filters::network::http_connection_manager::v3::{
    HttpConnectionManager, HttpFilter, Rds, http_connection_manager, http_filter,
};
use xds_proto::envoy::service::discovery::v3::{DiscoveryRequest, DiscoveryResponse};
use xds_proto::google::protobuf::{Any, UInt32Value};

pub(crate) fn bootstrap(server: &str) -> Bootstrap {
    Bootstrap::builder().server(ServerConfig::insecure(server)).node_id("n1").build().unwrap()
}

/// A SotW server, state and all, without a network.
#[derive(Debug, Clone, Default)]
pub(crate) struct Control {
    /// By type URL and name.
    pub(crate) resources: BTreeMap<String, BTreeMap<String, Any>>,
    streams: BTreeMap<String, (BTreeSet<String>, u64)>,
    version: u64,
}

impl Control {
    /// `greeter` is served by one route to each of these clusters, and each cluster by an endpoint at this port.
    pub(crate) fn greeter(clusters: &[&str], port: u16) -> Self {
        let mut control = Self::default();
        control.put("greeter", &listener("greeter", "routes"));
        control.put("routes", &routes("routes", clusters));
        for name in clusters {
            control.put(name, &cluster(name));
            control.put(name, &endpoints(name, &[port]));
        }
        control
    }

    pub(crate) fn put<M: Message + Name>(&mut self, name: &str, resource: &M) {
        self.resources.entry(M::type_url()).or_default().insert(name.to_owned(), any(resource));
    }

    /// A new stream.
    pub(crate) fn reset(&mut self) {
        self.streams.clear();
    }

    /// The answer to a request, if it deserves one.
    pub(crate) fn answer(&mut self, request: &DiscoveryRequest) -> Option<DiscoveryResponse> {
        let (names, nonce) = self.streams.entry(request.type_url.clone()).or_default();
        if !request.response_nonce.is_empty() && request.response_nonce != nonce.to_string() {
            return None;
        }
        let asked: BTreeSet<String> = request.resource_names.iter().cloned().collect();
        let is_new = asked.difference(names).next().is_some();
        *names = asked;
        is_new.then(|| self.push(&request.type_url))
    }

    /// Everything of a type that is asked for.
    pub(crate) fn push(&mut self, type_url: &str) -> DiscoveryResponse {
        self.version += 1;
        let (names, nonce) = self.streams.entry(type_url.to_owned()).or_default();
        *nonce += 1;
        let known = self.resources.get(type_url).into_iter().flatten();
        DiscoveryResponse {
            version_info: self.version.to_string(),
            resources: known.filter(|(name, _)| names.contains(*name)).map(|(_, any)| any.clone()).collect(),
            type_url: type_url.to_owned(),
            nonce: nonce.to_string(),
            ..DiscoveryResponse::default()
        }
    }
}

fn any<M: Message + Name>(message: &M) -> Any {
    Any { type_url: M::type_url(), value: message.encode_to_vec() }
}

fn ads() -> Option<ConfigSource> {
    let specifier = config_source::ConfigSourceSpecifier::Ads(AggregatedConfigSource::default());
    Some(ConfigSource { config_source_specifier: Some(specifier), ..ConfigSource::default() })
}

pub(crate) fn listener(name: &str, routes: &str) -> Listener {
    let rds = Rds { config_source: ads(), route_config_name: routes.to_owned() };
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
    Listener {
        name: name.to_owned(),
        api_listener: Some(ApiListener { api_listener: Some(any(&manager)) }),
        ..Listener::default()
    }
}

pub(crate) fn routes(name: &str, clusters: &[&str]) -> RouteConfiguration {
    let routes = clusters.iter().map(|cluster| Route {
        r#match: Some(RouteMatch {
            path_specifier: Some(route_match::PathSpecifier::Path(format!("/{cluster}"))),
            ..RouteMatch::default()
        }),
        action: Some(route::Action::Route(RouteAction {
            cluster_specifier: Some(route_action::ClusterSpecifier::Cluster((*cluster).to_owned())),
            ..RouteAction::default()
        })),
        ..Route::default()
    });
    let host = VirtualHost {
        name: "all".to_owned(),
        domains: vec!["*".to_owned()],
        routes: routes.collect(),
        ..VirtualHost::default()
    };
    RouteConfiguration { name: name.to_owned(), virtual_hosts: vec![host], ..RouteConfiguration::default() }
}

pub(crate) fn cluster(name: &str) -> Cluster {
    Cluster {
        name: name.to_owned(),
        cluster_discovery_type: Some(ClusterDiscoveryType::Type(DiscoveryType::Eds.into())),
        eds_cluster_config: Some(EdsClusterConfig { eds_config: ads(), ..EdsClusterConfig::default() }),
        ..Cluster::default()
    }
}

pub(crate) fn endpoints(name: &str, ports: &[u16]) -> ClusterLoadAssignment {
    let endpoint = |port: &u16| {
        let socket = SocketAddress {
            address: "127.0.0.1".to_owned(),
            port_specifier: Some(socket_address::PortSpecifier::PortValue((*port).into())),
            ..SocketAddress::default()
        };
        let address = Some(Address { address: Some(address::Address::SocketAddress(socket)) });
        let endpoint = Endpoint { address, ..Endpoint::default() };
        let host_identifier = Some(lb_endpoint::HostIdentifier::Endpoint(endpoint));
        LbEndpoint { host_identifier, ..LbEndpoint::default() }
    };
    let locality = LocalityLbEndpoints {
        locality: Some(Locality::default()),
        lb_endpoints: ports.iter().map(endpoint).collect(),
        load_balancing_weight: Some(UInt32Value { value: 1 }),
        ..LocalityLbEndpoints::default()
    };
    ClusterLoadAssignment {
        cluster_name: name.to_owned(),
        endpoints: vec![locality],
        ..ClusterLoadAssignment::default()
    }
}

pub(crate) const LDS: &str = "type.googleapis.com/envoy.config.listener.v3.Listener";
pub(crate) const RDS: &str = "type.googleapis.com/envoy.config.route.v3.RouteConfiguration";
pub(crate) const EDS: &str = "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment";

/// The ports of all endpoints, by cluster; `!` for a cluster in error.
pub(crate) fn show(config: &MeshConfig) -> String {
    let clusters: BTreeMap<_, _> = config.clusters().iter().collect();
    let clusters = clusters.into_iter().map(|(name, cluster)| {
        let Ok(cluster) = cluster else { return format!("{name}=!") };
        let Discovery::Endpoints(Ok(endpoints)) = &cluster.discovery else { return format!("{name}=!") };
        let localities = endpoints.priorities.iter().flat_map(|priority| &priority.localities);
        let ports = localities.flat_map(|locality| &locality.endpoints);
        let ports: Vec<_> = ports.map(|endpoint| endpoint.addresses.first().port().to_string()).collect();
        format!("{name}={}", ports.join(","))
    });
    clusters.collect::<Vec<_>>().join(" ")
}

/// Waits until the watch's state is as wanted.
pub(crate) async fn until(
    watch: &mut ConfigWatch,
    what: &str,
    wanted: impl Fn(&ConfigState) -> bool,
) -> ConfigState {
    let found = async {
        loop {
            let state = watch.borrow_and_update();
            if wanted(&state) {
                return state;
            }
            assert!(watch.changed().await, "the source is gone; wanted {what}, last {state:?}");
        }
    };
    match tokio::time::timeout(Duration::from_secs(60), found).await {
        Ok(state) => state,
        Err(_) => panic!("never came: {what}; last {:?}", watch.borrow_and_update()),
    }
}

/// Waits until the configuration shows this.
pub(crate) async fn until_shown(watch: &mut ConfigWatch, shown: &str) -> ConfigState {
    until(watch, shown, |state| matches!(&state.config, Some(Ok(config)) if show(config) == shown)).await
}
