#![doc = include_str!("../../../docs/admin-api.md")]

mod authz;
mod clients;
mod config;
mod endpoints;
mod error;
mod health;
mod host;
mod index;
mod load;
mod metrics;
mod near;
mod objects;
mod resources;
mod route;
mod route_text;
mod services;
mod status;
#[cfg(test)]
mod tests;
mod viewer;
mod waiting;

use std::sync::Arc;
use std::time::Instant;

use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::routing::{get, post};
use axum::{Router, middleware};
use tokio::sync::watch;

use crate::discovery::csds::ClientStatusDiscovery;
use crate::discovery::{Drain, Registry, ResourceCache};
use crate::load_reports::LoadReports;
use crate::metrics::Metrics;
use crate::pipeline::Approver;
use crate::state::PipelineState;

pub use crate::authz::{Decision, Verdict};
pub use authz::{AuthzAnswer, ServerDecision};
pub use clients::ClientList;
pub use endpoints::{ClusterEndpoints, DeclaredAddress, EndpointList, EndpointStatus};
pub use error::ErrorBody;
pub use health::Readiness;
pub use host::AllowedHosts;
pub use objects::{Condition, ObjectConditions, ObjectList};
pub use resources::{ResourceEntry, ResourceList};
pub use route::{ChosenRoute, ClusterShare, PassedRoute, RouteAnswer, UsedResource};
pub use services::{PortSummary, ServiceList, ServiceSummary};
pub use status::{ClientCounts, ServerStatus};
pub use waiting::Approval;

/// What the admin API reads. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Admin {
    cache: ResourceCache,
    state: watch::Receiver<Arc<PipelineState>>,
    registry: Registry,
    drain: Drain,
    load: LoadReports,
    metrics: Metrics,
    /// `None`: nothing ever waits.
    approver: Option<Approver>,
    hosts: AllowedHosts,
    started: Instant,
}

impl Admin {
    /// An admin API over the server's parts.
    pub fn new(
        cache: ResourceCache,
        state: watch::Receiver<Arc<PipelineState>>,
        registry: Registry,
        drain: Drain,
        load: LoadReports,
        metrics: Metrics,
    ) -> Self {
        let (approver, hosts, started) = (None, AllowedHosts::default(), Instant::now());
        Self { cache, state, registry, drain, load, metrics, approver, hosts, started }
    }

    /// With what approves changes that wait.
    #[must_use]
    pub fn with_approver(self, approver: Option<Approver>) -> Self {
        Self { approver, ..self }
    }

    /// With other names by which it may be asked.
    #[must_use]
    pub fn with_hosts(self, hosts: AllowedHosts) -> Self {
        Self { hosts, ..self }
    }

    fn pipeline(&self) -> Arc<PipelineState> {
        self.state.borrow().clone()
    }
}

/// Every endpoint of the admin API, and CSDS for gRPC.
pub fn router(admin: Admin) -> Router {
    let csds = ClientStatusDiscovery::new(admin.registry.clone(), admin.drain.clone()).into_service();
    Router::new()
        .route("/", get(index::index))
        .route("/livez", get(health::livez))
        .route("/readyz", get(health::readyz))
        .route("/metrics", get(metrics::metrics))
        .route("/v1/status", get(status::status))
        .route("/v1/clients", get(clients::list))
        .route("/v1/clients/{id}", get(clients::one))
        .route("/v1/clients/{id}/config", get(clients::config))
        .route_service(CSDS, csds)
        .route("/v1/config", get(config::config))
        .route("/v1/objects", get(objects::list))
        .route("/v1/resources", get(resources::list))
        .route("/v1/services", get(services::list))
        .route("/v1/endpoints", get(endpoints::ask))
        .route("/v1/route", get(route::ask))
        .route("/v1/load", get(load::load))
        .route("/v1/authz", get(authz::ask))
        .route("/v1/waiting/{id}/approve", post(waiting::approve))
        .fallback(error::no_such_path)
        .method_not_allowed_fallback(error::no_such_method)
        .layer(middleware::from_fn_with_state(admin.hosts.clone(), host::check))
        .with_state(admin)
}

/// An answer that tells of an error.
pub(crate) fn failure(status: StatusCode, message: &str) -> impl IntoResponse {
    error::Failure::new(status, message)
}

/// SEC-10: here, and not where xDS is served.
const CSDS: &str = "/envoy.service.status.v3.ClientStatusDiscoveryService/{*method}";
