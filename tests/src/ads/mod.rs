//! ADS by hand: a client that answers as it likes, and a server that sends what no control-server would.

mod client;
pub mod samples;
mod server;

pub use client::AdsClient;
pub use server::{AdsServer, Seen};

/// Type URLs, as they stand in requests.
pub const LISTENER: &str = "type.googleapis.com/envoy.config.listener.v3.Listener";
/// Of route configurations.
pub const ROUTES: &str = "type.googleapis.com/envoy.config.route.v3.RouteConfiguration";
/// Of clusters.
pub const CLUSTER: &str = "type.googleapis.com/envoy.config.cluster.v3.Cluster";
/// Of a cluster's endpoints.
pub const ENDPOINTS: &str = "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment";
