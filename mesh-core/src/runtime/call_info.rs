//! Which route, cluster and endpoint took a call.

use std::net::SocketAddr;

use tracing::Span;
use tracing::field::display;

use crate::config::Name;

use super::MeshError;

/// Route, cluster and endpoint of a call that has a response, and its number of attempts.
///
/// A response's [body](super::ResponseBody::take_call_info) has it; `mesh-tonic` puts it among the extensions of the response.
/// The span in which the call is polled gets it as well, if it has the fields `mesh.route`, `mesh.cluster`, `mesh.endpoint` or
/// `mesh.attempts`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallInfo {
    pub(super) route: Name,
    pub(super) cluster: Name,
    pub(super) endpoint: SocketAddr,
    pub(super) attempts: u32,
}

impl CallInfo {
    /// The route by its name, or by its path if it has none: `/shop.Cart/*`.
    pub fn route(&self) -> &str {
        &self.route
    }

    /// The cluster that the route chose.
    pub fn cluster(&self) -> &str {
        &self.cluster
    }

    /// The endpoint that answered: the first of its addresses.
    pub fn endpoint(&self) -> SocketAddr {
        self.endpoint
    }

    /// How many attempts were sent to endpoints, the last one included.
    pub fn attempts(&self) -> u32 {
        self.attempts
    }

    /// Records this in the caller's span.
    pub(super) fn record(&self) {
        record(&self.route, Some(&self.cluster), Some(self.endpoint), self.attempts);
    }
}

/// Records in the caller's span what is known of a call without a response.
pub(super) fn record_failure(route: &str, error: &MeshError, attempts: u32) {
    record(route, error.cluster().map(|cluster| &**cluster), error.endpoint(), attempts);
}

/// A span ignores fields that it has not declared.
fn record(route: &str, cluster: Option<&str>, endpoint: Option<SocketAddr>, attempts: u32) {
    if !tracing::dispatcher::has_been_set() {
        return;
    }
    let span = Span::current();
    span.record("mesh.route", route);
    span.record("mesh.attempts", attempts);
    if let Some(cluster) = cluster {
        span.record("mesh.cluster", cluster);
    }
    if let Some(endpoint) = endpoint {
        span.record("mesh.endpoint", display(endpoint));
    }
}
