//! `/v1/services`: the services that clients are served.

use std::collections::{BTreeMap, BTreeSet};

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use prost::Message as _;
use serde::{Deserialize, Serialize};
use xds_proto::envoy::config::route::v3::RouteConfiguration;

use crate::places::{Place, Places};
use crate::resources::{EncodedResource, ResourceKind};

use super::Admin;
use super::endpoints::EndpointSource;
use super::error::Failure;
use super::viewer::{ServiceName, Viewer, ViewerQuery};

/// The services that a client is served.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceList {
    /// The revision that is served.
    pub revision: u64,
    /// By host.
    pub services: Vec<ServiceSummary>,
}

/// One service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceSummary {
    /// Its whole name.
    pub host: String,
    /// By number.
    pub ports: Vec<PortSummary>,
    /// The objects that declare it.
    pub declared_by: Vec<Place>,
    /// The objects that make its routes; empty: every call goes to all endpoints of the port.
    pub routed_by: Vec<Place>,
    /// The rules and policies for calls to it.
    pub ruled_by: Vec<Place>,
}

/// A port of a service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortSummary {
    /// Its number.
    pub port: u32,
    /// How many routes calls to it are matched against.
    pub routes: usize,
    /// The names that clients resolve, if the endpoints are found by DNS.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub resolved: Vec<String>,
    /// How many endpoints are served, of all subsets.
    pub endpoints: usize,
    /// The endpoints of each subset, by its name.
    pub subsets: BTreeMap<String, usize>,
}

pub(super) async fn list(
    State(admin): State<Admin>,
    query: Result<Query<ViewerQuery>, QueryRejection>,
) -> Result<Json<ServiceList>, Failure> {
    let Query(query) = query.map_err(|rejection| Failure::bad_request(rejection.body_text()))?;
    let viewer = Viewer::new(&admin, &query)?;
    let places = admin.pipeline().places.clone();
    // Thousands of messages are decoded: not on a thread that answers others.
    let list = tokio::task::spawn_blocking(move || services(&viewer, &places)).await;
    list.map(Json).map_err(|error| Failure::internal(error.to_string()))
}

fn services(viewer: &Viewer, places: &Places) -> ServiceList {
    let mut hosts: BTreeMap<&str, BTreeMap<u32, &EncodedResource>> = BTreeMap::new();
    for route in viewer.all(ResourceKind::Route) {
        if let Some(name) = ServiceName::parse(&route.name) {
            hosts.entry(name.host).or_default().insert(name.port, route);
        }
    }
    let mut clusters: BTreeMap<&str, Vec<(ServiceName<'_>, &EncodedResource)>> = BTreeMap::new();
    for cluster in viewer.all(ResourceKind::Cluster) {
        if let Some(name) = ServiceName::parse(&cluster.name) {
            clusters.entry(name.host).or_default().push((name, cluster));
        }
    }
    let service = |(host, routes): (&str, BTreeMap<u32, &EncodedResource>)| {
        let clusters = clusters.get(host).map(Vec::as_slice).unwrap_or_default();
        service(host, &routes, clusters, viewer, places)
    };
    ServiceList { revision: viewer.snapshot.set.revision, services: hosts.into_iter().map(service).collect() }
}

fn service(
    host: &str,
    routes: &BTreeMap<u32, &EncodedResource>,
    clusters: &[(ServiceName<'_>, &EncodedResource)],
    viewer: &Viewer,
    places: &Places,
) -> ServiceSummary {
    let mut makers = Makers::default();
    routes.values().for_each(|route| makers.add(route));
    let mut ports: BTreeMap<u32, PortSummary> =
        routes.iter().map(|(port, route)| (*port, PortSummary::new(*port, route))).collect();
    for (name, cluster) in clusters {
        makers.add(cluster);
        let Some(port) = ports.get_mut(&name.port) else { continue };
        let endpoints = match EndpointSource::of(cluster) {
            EndpointSource::Dns(name) => {
                port.resolved.push(name);
                0
            }
            EndpointSource::Endpoints(name) => viewer.endpoint_count(&name),
        };
        match name.subset {
            "" => port.endpoints += endpoints,
            subset => *port.subsets.entry(subset.to_owned()).or_default() += endpoints,
        }
    }
    for port in ports.values_mut() {
        port.resolved.sort();
        port.resolved.dedup();
    }
    let Makers { declaring, routing, ruling } = makers;
    let places = |names: BTreeSet<&str>| names.into_iter().map(|name| places.of_object(name)).collect();
    ServiceSummary {
        host: host.to_owned(),
        ports: ports.into_values().collect(),
        declared_by: places(declaring),
        routed_by: places(routing),
        ruled_by: places(ruling),
    }
}

impl PortSummary {
    fn new(port: u32, route: &EncodedResource) -> Self {
        let routes = RouteConfiguration::decode(route.bytes.clone()).unwrap_or_default();
        let routes = routes.virtual_hosts.iter().map(|host| host.routes.len()).sum();
        Self { port, routes, resolved: Vec::new(), endpoints: 0, subsets: BTreeMap::new() }
    }
}

/// The objects behind the resources of a service, by what they do.
#[derive(Debug, Default)]
pub(super) struct Makers<'a> {
    pub(super) declaring: BTreeSet<&'a str>,
    pub(super) routing: BTreeSet<&'a str>,
    pub(super) ruling: BTreeSet<&'a str>,
}

impl<'a> Makers<'a> {
    pub(super) fn add(&mut self, resource: &'a EncodedResource) {
        for name in resource.made_by.iter().map(|name| &**name) {
            let kind = name.split(' ').next().unwrap_or_default();
            let of_kind = match kind {
                "ServiceEntry" | "Service" => &mut self.declaring,
                "VirtualService" | "GRPCRoute" | "HTTPRoute" => &mut self.routing,
                _ => &mut self.ruling,
            };
            of_kind.insert(name);
        }
    }
}
