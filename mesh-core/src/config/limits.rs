//! How much a cluster may do at once (gRFC A32, Envoy's circuit breakers).

use crate::policy::retry::RetryBudget;

/// The priority of a route's calls. Each priority has limits of its own in a cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
#[non_exhaustive]
pub enum RoutingPriority {
    /// Unless the route says otherwise.
    #[default]
    Default,
    /// Envoy's `HIGH`.
    High,
}

impl RoutingPriority {
    /// `default` or `high`, as in metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::High => "high",
        }
    }
}

/// How much a cluster may do at once for calls of one priority, over all channels of the process.
///
/// ```
/// # use mesh_core::config::{CallLimits, ClusterSettings, MaxRequests};
/// let mut settings = ClusterSettings::new("orders");
/// settings.limits = CallLimits::default().with_max_requests(MaxRequests(100)).with_max_pending(10);
/// ```
// LB-27
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct CallLimits {
    /// How many calls may be in flight; more fail.
    pub max_requests: MaxRequests,
    /// How many calls may wait for a connection or for room on one, also those that wait for ready; more fail. `None`: no limit.
    pub max_pending: Option<u32>,
    /// How many connections there may be before no endpoint gets a second one. The first one to an endpoint is always made. `None`: no
    /// limit.
    ///
    /// Calls of both priorities share connections: the limits of both add up, and one that is `None` lifts the other.
    pub max_connections: Option<u32>,
    /// How many calls may be in a retry; `None`: by the mesh's own budget.
    // LB-28
    pub retry_budget: Option<RetryBudget>,
    /// Whether metrics show what is left of the limits.
    // LB-28
    pub track_remaining: bool,
}

impl CallLimits {
    /// With so many calls in flight at most.
    #[must_use]
    pub fn with_max_requests(self, max_requests: MaxRequests) -> Self {
        Self { max_requests, ..self }
    }

    /// With so many calls at most that wait for a connection or for room on one.
    #[must_use]
    pub fn with_max_pending(self, max_pending: u32) -> Self {
        Self { max_pending: Some(max_pending), ..self }
    }

    /// With so many connections before no endpoint gets a second one.
    #[must_use]
    pub fn with_max_connections(self, max_connections: u32) -> Self {
        Self { max_connections: Some(max_connections), ..self }
    }

    /// With so many calls in a retry at most.
    #[must_use]
    pub fn with_retry_budget(self, budget: RetryBudget) -> Self {
        Self { retry_budget: Some(budget), ..self }
    }
}

/// How many calls a cluster may have in flight at once (gRFC A32). Zero rejects everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MaxRequests(pub u32);

impl Default for MaxRequests {
    /// 1,024.
    // LB-23, CDS-11
    fn default() -> Self {
        Self(1024)
    }
}
