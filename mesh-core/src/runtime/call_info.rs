//! Which route, cluster and endpoint took a call.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use tracing::Span;
use tracing::field::display;

use crate::config::Name;
use crate::filter::CallPath;
use crate::sharded::Ref;

use super::MeshError;

/// Route, cluster and endpoint of a call that has a response, and its number of attempts.
///
/// A response's [body](super::ResponseBody::take_call_info) has it; `mesh-tonic` puts it among the extensions of the response.
/// The span in which the call is polled gets it as well, if it has the fields `mesh.route`, `mesh.cluster`, `mesh.endpoint` or
/// `mesh.attempts`.
#[derive(Clone)]
pub struct CallInfo {
    path: Ref<CallPath>,
    /// The leaf that the endpoint belongs to, if the route's cluster is an aggregate.
    leaf: Option<Name>,
    endpoint: SocketAddr,
    attempts: u32,
}

impl CallInfo {
    /// `cluster` is the one that the endpoint belongs to.
    pub(super) fn new(path: Ref<CallPath>, cluster: &Name, endpoint: SocketAddr, attempts: u32) -> Self {
        let is_routes_own = Arc::ptr_eq(&path.cluster, cluster) || path.cluster == *cluster;
        let leaf = (!is_routes_own).then(|| cluster.clone());
        Self { path, leaf, endpoint, attempts }
    }

    /// The route by its name, or by its path if it has none: `/shop.Cart/*`.
    pub fn route(&self) -> &str {
        &self.path.route
    }

    /// The cluster that the route chose; of an aggregate the leaf whose endpoint answered.
    pub fn cluster(&self) -> &str {
        self.leaf.as_ref().unwrap_or(&self.path.cluster)
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
    #[inline(always)]
    pub(super) fn record(&self) {
        if !tracing::dispatcher::has_been_set() {
            return;
        }
        record(self.route(), Some(self.cluster()), Some(self.endpoint), self.attempts);
    }
}

impl PartialEq for CallInfo {
    fn eq(&self, other: &Self) -> bool {
        let parts = |info: &Self| (info.endpoint, info.attempts);
        self.route() == other.route() && self.cluster() == other.cluster() && parts(self) == parts(other)
    }
}

impl Eq for CallInfo {}

impl fmt::Debug for CallInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallInfo")
            .field("route", &self.route())
            .field("cluster", &self.cluster())
            .field("endpoint", &self.endpoint)
            .field("attempts", &self.attempts)
            .finish()
    }
}

/// Records in the caller's span what is known of a call without a response.
pub(super) fn record_failure(route: &str, error: &MeshError, attempts: u32) {
    if !tracing::dispatcher::has_been_set() {
        return;
    }
    record(route, error.cluster().map(|cluster| &**cluster), error.endpoint(), attempts);
}

/// A span ignores fields that it has not declared.
fn record(route: &str, cluster: Option<&str>, endpoint: Option<SocketAddr>, attempts: u32) {
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
