//! How a pool makes connections.

use std::time::Duration;

use crate::policy::subchannel::Settings;

/// How a pool makes connections.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct PoolSettings {
    /// How many attempts to connect may run at once, over all clusters: 64. Further ones wait.
    pub max_connecting: MaxConnecting,
    /// Backoff, timeouts and happy eyeballs of one endpoint.
    pub subchannel: Settings,
    /// Whether and where calls wait while the connections to their endpoint are full.
    pub queue: QueueSettings,
    /// The least time between two resolutions of a DNS name: 30 s.
    // LB-06
    pub dns_interval: Duration,
    /// How long a channel has no call to a cluster before its connections to the cluster are closed: 30 min, and up to a sixth more.
    /// The next call makes them again. `None`: they are kept, each as long as the cluster's own `idle_timeout` says.
    // LB-75
    pub idle_timeout: Option<Duration>,
}

/// How many attempts to connect may run at once. Zero counts as one.
///
/// An attempt without an answer counts for 100 ms only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MaxConnecting(pub usize);

/// Whether and where calls wait while the connections to their endpoint are full: each connection has as many calls as the
/// endpoint allows at once, and the maximum of connections is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct QueueSettings {
    /// How many calls may wait for room at one endpoint: 10,000. Further ones fail
    /// ([`MeshErrorKind::QueueFull`](crate::runtime::MeshErrorKind::QueueFull)).
    pub max_queued: MaxQueued,
    /// Whether calls go to another endpoint first; by default they do.
    pub full_endpoints: FullEndpoints,
}

/// How many calls may wait for room at one endpoint. With zero no call waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MaxQueued(pub u32);

impl Default for MaxQueued {
    /// 10,000
    fn default() -> Self {
        Self(10_000)
    }
}

/// How a call continues after the balancer has picked an endpoint without room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum FullEndpoints {
    /// The balancer picks again, up to 8 times, and the call goes to the first endpoint with room. It waits only if no pick
    /// has room, or if the policy picks the same endpoint twice.
    #[default]
    PassOver,
    /// The call waits for room at that endpoint, as in gRPC: each endpoint gets the share of calls that the policy gives it.
    Wait,
}

impl Default for PoolSettings {
    fn default() -> Self {
        Self {
            max_connecting: MaxConnecting(64),
            subchannel: Settings::default(),
            queue: QueueSettings::default(),
            dns_interval: Duration::from_secs(30),
            idle_timeout: Some(Duration::from_secs(30 * 60)),
        }
    }
}
