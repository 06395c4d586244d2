//! Where a cluster's endpoints come from (gRFC A37).

use mesh_core::config::Name;
use xds_proto::envoy::config::cluster::v3::Cluster;
use xds_proto::envoy::config::cluster::v3::cluster::{
    ClusterDiscoveryType, CustomClusterType, DiscoveryType,
};
use xds_proto::envoy::config::core::v3::SocketAddress;
use xds_proto::envoy::config::endpoint::v3::lb_endpoint::HostIdentifier;
use xds_proto::envoy::config::endpoint::v3::{ClusterLoadAssignment, LbEndpoint};
use xds_proto::envoy::extensions::clusters::aggregate::v3::ClusterConfig;

use crate::resource::extension::{self, Extension};
use crate::resource::fields;
use crate::resource::invalid::{Checked, Invalid, Within};

/// Where a cluster's endpoints come from.
// CDS-01
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ClusterDiscovery {
    /// EDS, under `ClusterSettings::service_name`.
    Eds,
    /// One DNS name.
    LogicalDns {
        /// Host name.
        host: Name,
        /// Port.
        port: u16,
    },
    /// Other clusters, in this order; not yet flattened.
    Aggregate(Vec<Name>),
}

// CDS-01
pub(super) fn read(cluster: &Cluster) -> Checked<ClusterDiscovery> {
    let kind = match &cluster.cluster_discovery_type {
        Some(ClusterDiscoveryType::ClusterType(custom)) => return aggregate(custom).within("cluster_type"),
        Some(ClusterDiscoveryType::Type(kind)) => *kind,
        // The enum's zero value.
        None => DiscoveryType::Static as i32,
    };
    match DiscoveryType::try_from(kind) {
        Ok(DiscoveryType::Eds) => eds(cluster).map(|()| ClusterDiscovery::Eds),
        Ok(DiscoveryType::LogicalDns) => {
            logical_dns(cluster.load_assignment.as_ref()).within("load_assignment")
        }
        other => {
            let found = other.map_or_else(|error| error.to_string(), |kind| kind.as_str_name().to_owned());
            Err(Invalid::at("type", format!("expected EDS, LOGICAL_DNS or an aggregate, found {found}")))
        }
    }
}

/// The name under which endpoints are discovered, if it is not the cluster's own (CDS-02).
pub(super) fn service_name(cluster: &Cluster) -> Option<&str> {
    let config = cluster.eds_cluster_config.as_ref()?;
    let is_eds =
        cluster.cluster_discovery_type == Some(ClusterDiscoveryType::Type(DiscoveryType::Eds as i32));
    (is_eds && !config.service_name.is_empty()).then_some(config.service_name.as_str())
}

// CDS-02, CDS-03
fn eds(cluster: &Cluster) -> Checked<()> {
    let source = cluster.eds_cluster_config.as_ref().and_then(|config| config.eds_config.as_ref());
    fields::same_server(source).within("eds_cluster_config.eds_config")?;
    match cluster.name.starts_with("xdstp:") && service_name(cluster).is_none() {
        true => Err(Invalid::at(
            "eds_cluster_config.service_name",
            "must be set, because the name is an xdstp: one",
        )),
        false => Ok(()),
    }
}

// CDS-04
fn logical_dns(assignment: Option<&ClusterLoadAssignment>) -> Checked<ClusterDiscovery> {
    let endpoints = assignment.map_or(&[][..], |assignment| &assignment.endpoints);
    let [locality] = endpoints else {
        return Err(Invalid::at(
            "endpoints",
            format!("expected exactly one locality, found {}", endpoints.len()),
        ));
    };
    let [endpoint] = locality.lb_endpoints.as_slice() else {
        let reason = format!("expected exactly one endpoint, found {}", locality.lb_endpoints.len());
        return Err(Invalid::at("endpoints[0].lb_endpoints", reason));
    };
    let read = || {
        let socket = dns_address(endpoint)?;
        let named = || {
            if !socket.resolver_name.is_empty() {
                return Err(Invalid::at("resolver_name", "is not supported"));
            }
            if socket.address.is_empty() {
                return Err(Invalid::at("address", "must not be empty"));
            }
            match fields::port(socket)? {
                0 => Err(Invalid::at("port_value", "must not be 0")),
                port => Ok(ClusterDiscovery::LogicalDns { host: socket.address.as_str().into(), port }),
            }
        };
        named().within("socket_address").within("endpoint.address")
    };
    read().within("endpoints[0].lb_endpoints[0]")
}

fn dns_address(endpoint: &LbEndpoint) -> Checked<&SocketAddress> {
    match &endpoint.host_identifier {
        Some(HostIdentifier::Endpoint(endpoint)) => {
            fields::socket_address(endpoint.address.as_ref()).within("endpoint.address")
        }
        _ => Err(Invalid::at("endpoint", "must be set")),
    }
}

// CDS-05
fn aggregate(custom: &CustomClusterType) -> Checked<ClusterDiscovery> {
    let Some(any) = &custom.typed_config else {
        return Err(Invalid::at("typed_config", "must be set"));
    };
    let read = || {
        let extension = Extension::of(any)?;
        if extension.type_name() != AGGREGATE {
            let reason = format!("type {:?} is not supported, expected {AGGREGATE:?}", extension.type_name());
            return Err(Invalid::new(reason));
        }
        let clusters = match extension.fields() {
            None => extension.message::<ClusterConfig>()?.clusters,
            Some(fields) => extension::strings(fields, "clusters")?,
        };
        if clusters.is_empty() {
            return Err(Invalid::at("clusters", "must name at least one cluster"));
        }
        match clusters.iter().position(String::is_empty) {
            Some(index) => Err(Invalid::new("must not be empty")).within_element("clusters", index),
            None => Ok(ClusterDiscovery::Aggregate(clusters.into_iter().map(Name::from).collect())),
        }
    };
    read().within("typed_config")
}

const AGGREGATE: &str = "envoy.extensions.clusters.aggregate.v3.ClusterConfig";
