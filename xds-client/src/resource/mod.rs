//! Resources: from bytes to validated values, in the terms of [`mesh_core::config`].
//!
//! Section 3 of the conformance list. Each error names type, resource and field path, because it becomes the text of
//! the NACK.

mod error;

use std::any::Any;
use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use mesh_core::config::{ClusterSettings, EndpointSet, Name, VirtualHost};

pub use error::DecodeError;

/// What decoding may depend on: the server that sent the resource, and the bootstrap.
#[derive(Debug, Clone, Default)]
pub struct DecodeContext {
    /// The server has the feature `trusted_xds_server` (BS-20).
    pub trusted_server: bool,
    /// Instance names of the bootstrap's certificate providers (TLS-05).
    pub certificate_providers: Vec<Name>,
}

/// A validated resource of any type; downcast it to the type that its [`ResourceType`] makes.
pub type AnyResource = Arc<dyn Any + Send + Sync>;

/// A kind of resource: how it is named on the wire, decoded and validated. Open to users' own types.
pub trait ResourceType: Debug + Send + Sync + 'static {
    /// `type.googleapis.com/` and the full message name (TR-03).
    fn type_url(&self) -> &'static str;

    /// Whether a SotW response holds every resource, so that one that is missing has been deleted (TR-26).
    fn is_full_state(&self) -> bool;

    /// Decodes and validates one resource from the bytes of its message (already unwrapped from `Any` and from
    /// `envoy.service.discovery.v3.Resource`).
    ///
    /// # Errors
    /// A [`DecodeError`], with the resource's name if it could be read (TR-14, TR-15, RV-01).
    fn decode(&self, context: &DecodeContext, bytes: &Bytes) -> Result<(Name, AnyResource), DecodeError>;
}

/// A validated `envoy.config.listener.v3.Listener`.
#[derive(Debug, Clone, PartialEq)]
pub enum Listener {
    /// For clients (`api_listener`).
    Api(ApiListener),
    /// For servers: validated; serving by it belongs to a server.
    Socket,
}

/// What a client reads from a listener.
#[derive(Debug, Clone, PartialEq)]
pub struct ApiListener {
    /// Where the routes are.
    pub routes: RouteSource,
    /// Default for routes that set none (LDS-05).
    pub max_stream_duration: Option<Duration>,
}

/// Where a listener's routes are.
#[derive(Debug, Clone, PartialEq)]
pub enum RouteSource {
    /// In a route configuration of this name.
    Rds(Name),
    /// In the listener itself.
    Inline(Arc<RouteConfiguration>),
}

/// A validated `envoy.config.route.v3.RouteConfiguration`.
#[derive(Debug, Clone, PartialEq)]
pub struct RouteConfiguration {
    /// In configured order.
    pub virtual_hosts: Vec<Arc<VirtualHost>>,
}

/// A validated `envoy.config.cluster.v3.Cluster`.
#[derive(Debug, Clone, PartialEq)]
pub struct Cluster {
    /// How calls are spread and limited.
    pub settings: Arc<ClusterSettings>,
    /// Where its endpoints come from.
    pub discovery: ClusterDiscovery,
}

/// Where a cluster's endpoints come from (CDS-01).
#[derive(Debug, Clone, PartialEq, Eq)]
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

/// A validated `envoy.config.endpoint.v3.ClusterLoadAssignment`.
pub type ClusterLoadAssignment = Arc<EndpointSet>;
