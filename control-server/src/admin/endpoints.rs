//! `/v1/endpoints`: the endpoints of a service as clients are served them, and where each is declared.

use std::collections::BTreeSet;
use std::net::IpAddr;

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use prost::Message as _;
use serde::{Deserialize, Serialize};
use xds_proto::envoy::config::cluster::v3::Cluster;
use xds_proto::envoy::config::core::v3::address::Address as AddressKind;
use xds_proto::envoy::config::core::v3::socket_address::PortSpecifier;
use xds_proto::envoy::config::core::v3::{Address, HealthStatus};
use xds_proto::envoy::config::endpoint::v3::lb_endpoint::HostIdentifier;
use xds_proto::envoy::config::endpoint::v3::{ClusterLoadAssignment, LbEndpoint, LocalityLbEndpoints};

use crate::load_reports::LocalityLoad;
use crate::places::{DeclaredEndpoint, Place, Places};
use crate::resources::{EncodedResource, ResourceKind};

use super::Admin;
use super::error::Failure;
use super::services::Makers;
use super::viewer::{ServiceName, Viewer, ViewerQuery, listener_name};

/// The endpoints of a service.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EndpointList {
    /// The revision that is served.
    pub revision: u64,
    /// The whole name of the service.
    pub host: String,
    /// The objects that declare the service.
    pub declared_by: Vec<Place>,
    /// By port and subset.
    pub clusters: Vec<ClusterEndpoints>,
    /// Addresses that are declared and not served, because they are not ready or have the weight 0.
    pub left_out: Vec<DeclaredAddress>,
}

/// The endpoints of a port or of a subset.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ClusterEndpoints {
    /// The cluster's name.
    pub cluster: String,
    /// The service's port.
    pub port: u32,
    /// Empty: all endpoints of the port.
    pub subset: String,
    /// The name that clients resolve; empty if the endpoints are served.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub resolved: String,
    /// Why there are no endpoints; empty if there are some.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub unavailable: String,
    /// By priority and locality.
    pub endpoints: Vec<EndpointStatus>,
    /// What clients report of each locality: calls that ended well and that failed.
    pub load: Vec<LocalityLoad>,
}

/// One endpoint as it is served.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndpointStatus {
    /// `address:port`.
    pub address: String,
    /// `region/zone/sub_zone`; empty without a locality.
    pub locality: String,
    /// 0 is used first.
    pub priority: u32,
    /// Its share of its locality's calls.
    pub weight: u32,
    /// Its locality's share of the priority's calls.
    pub locality_weight: u32,
    /// `HEALTHY`, `DRAINING` or another `HealthStatus` of xDS, as served.
    pub health: String,
    /// Where it is declared; empty if the object has changed since.
    pub declared_at: Vec<Place>,
}

/// An address that an object declares.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct DeclaredAddress {
    /// Without a port.
    pub address: String,
    /// Where.
    pub declared_at: Place,
}

#[derive(Debug, Deserialize)]
pub(super) struct Question {
    /// A target as clients name it: `orders.shop`, `orders.shop:8080`, `xds:///orders.shop`.
    host: String,
    #[serde(flatten)]
    viewer: ViewerQuery,
}

pub(super) async fn ask(
    State(admin): State<Admin>,
    question: Result<Query<Question>, QueryRejection>,
) -> Result<Json<EndpointList>, Failure> {
    let Query(question) = question.map_err(|rejection| Failure::bad_request(rejection.body_text()))?;
    let viewer = Viewer::new(&admin, &question.viewer)?;
    let (host, port) = viewer.service(&question.host)?;
    let names_port = listener_name(&question.host).contains(':');
    let places = admin.pipeline().places.clone();
    let asked = admin.clone();
    let list = move || list(&asked, &viewer, &places, &host, names_port.then_some(port));
    let list = tokio::task::spawn_blocking(list).await;
    list.map(Json).map_err(|error| Failure::internal(error.to_string()))
}

fn list(admin: &Admin, viewer: &Viewer, places: &Places, host: &str, port: Option<u32>) -> EndpointList {
    let mut clusters: Vec<(ServiceName<'_>, &EncodedResource)> = Vec::new();
    for cluster in viewer.all(ResourceKind::Cluster) {
        let name = ServiceName::parse(&cluster.name);
        let name = name.filter(|name| name.host == host && port.is_none_or(|port| port == name.port));
        clusters.extend(name.map(|name| (name, &**cluster)));
    }
    clusters.sort_by_key(|(name, cluster)| (*name, &cluster.name));
    let mut makers = Makers::default();
    clusters.iter().for_each(|(_, cluster)| makers.add(cluster));
    let declared_by: Vec<Place> = makers.declaring.iter().map(|name| places.of_object(name)).collect();
    let declared = places.endpoints(&declared_by);
    let of_cluster = |(name, cluster): &(ServiceName<'_>, &EncodedResource)| {
        let load = admin.load.list(Some(&cluster.name)).clusters.into_iter().next();
        ClusterEndpoints {
            load: load.map(|load| load.localities).unwrap_or_default(),
            ..viewer.cluster(*name, cluster, &declared)
        }
    };
    let clusters: Vec<ClusterEndpoints> = clusters.iter().map(of_cluster).collect();
    let served: BTreeSet<&Place> = clusters
        .iter()
        .flat_map(|cluster| &cluster.endpoints)
        .flat_map(|endpoint| &endpoint.declared_at)
        .collect();
    let left_out = declared.iter().filter(|one| port.is_none() && !served.contains(&one.place));
    let left_out = left_out
        .map(|one| DeclaredAddress { address: one.ip.to_string(), declared_at: one.place.clone() })
        .collect::<BTreeSet<_>>();
    EndpointList {
        revision: viewer.snapshot.set.revision,
        host: host.to_owned(),
        declared_by,
        clusters,
        left_out: left_out.into_iter().collect(),
    }
}

impl Viewer {
    /// How many endpoints stand under the name of a cluster's endpoints.
    pub(super) fn endpoint_count(&self, name: &str) -> usize {
        self.assignment(name).endpoints.iter().map(|locality| locality.lb_endpoints.len()).sum()
    }

    fn assignment(&self, name: &str) -> ClusterLoadAssignment {
        let found = self.resource(ResourceKind::Endpoints, name);
        let message = found.and_then(|found| ClusterLoadAssignment::decode(found.bytes.clone()).ok());
        message.unwrap_or_default()
    }

    fn cluster(
        &self,
        name: ServiceName<'_>,
        cluster: &EncodedResource,
        declared: &[DeclaredEndpoint],
    ) -> ClusterEndpoints {
        let mut status = ClusterEndpoints {
            cluster: cluster.name.to_string(),
            port: name.port,
            subset: name.subset.to_owned(),
            resolved: String::new(),
            unavailable: String::new(),
            endpoints: Vec::new(),
            load: Vec::new(),
        };
        match EndpointSource::of(cluster) {
            EndpointSource::Dns(name) => status.resolved = name,
            EndpointSource::Endpoints(name) => {
                let mut localities = self.assignment(&name).endpoints;
                localities.sort_by_key(|locality| locality.priority);
                let of_locality = |locality: &LocalityLbEndpoints| -> Vec<EndpointStatus> {
                    let endpoints = locality.lb_endpoints.iter();
                    endpoints.filter_map(|one| EndpointStatus::new(locality, one, declared)).collect()
                };
                status.endpoints = localities.iter().flat_map(of_locality).collect();
                // The name of endpoints that must not be used says why.
                let reason = name.strip_prefix(&*cluster.name).and_then(|rest| rest.strip_prefix(": "));
                status.unavailable = reason.unwrap_or_default().to_owned();
            }
        }
        status
    }
}

impl EndpointStatus {
    /// `None`: without an address.
    fn new(
        locality: &LocalityLbEndpoints,
        endpoint: &LbEndpoint,
        declared: &[DeclaredEndpoint],
    ) -> Option<Self> {
        let Some(HostIdentifier::Endpoint(host)) = &endpoint.host_identifier else { return None };
        let (ip, port) = socket(host.address.as_ref()?)?;
        let place = locality.locality.as_ref();
        let place = place.map(|place| [&*place.region, &*place.zone, &*place.sub_zone].join("/"));
        let weight = |weight: &Option<xds_proto::google::protobuf::UInt32Value>| {
            weight.as_ref().map_or(1, |weight| weight.value)
        };
        let address = ip.parse::<IpAddr>();
        let of_address = declared.iter().filter(|one| address.as_ref().is_ok_and(|ip| *ip == one.ip));
        Some(Self {
            address: if ip.contains(':') { format!("[{ip}]:{port}") } else { format!("{ip}:{port}") },
            locality: place.filter(|place| place != "//").unwrap_or_default(),
            priority: locality.priority,
            weight: weight(&endpoint.load_balancing_weight),
            locality_weight: weight(&locality.load_balancing_weight),
            health: health(endpoint.health_status).to_owned(),
            declared_at: of_address.map(|one| one.place.clone()).collect(),
        })
    }
}

fn socket(address: &Address) -> Option<(&str, u32)> {
    let Some(AddressKind::SocketAddress(socket)) = &address.address else { return None };
    let Some(PortSpecifier::PortValue(port)) = socket.port_specifier else { return None };
    Some((&socket.address, port))
}

fn health(status: i32) -> &'static str {
    HealthStatus::try_from(status).map_or("UNKNOWN", |status| status.as_str_name())
}

/// The source of a cluster's endpoints.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum EndpointSource {
    /// They stand under this name.
    Endpoints(String),
    /// Clients resolve this name, a host with a port.
    Dns(String),
}

impl EndpointSource {
    pub(super) fn of(cluster: &EncodedResource) -> Self {
        let message = Cluster::decode(cluster.bytes.clone()).unwrap_or_default();
        let endpoints = message.load_assignment.iter().flat_map(|assignment| &assignment.endpoints);
        let host = endpoints.flat_map(|locality| &locality.lb_endpoints).find_map(|endpoint| {
            let Some(HostIdentifier::Endpoint(host)) = &endpoint.host_identifier else { return None };
            socket(host.address.as_ref()?).map(|(host, port)| format!("{host}:{port}"))
        });
        let name = message.eds_cluster_config.map(|eds| eds.service_name).filter(|name| !name.is_empty());
        host.map_or_else(|| Self::Endpoints(name.unwrap_or_else(|| cluster.name.to_string())), Self::Dns)
    }
}
