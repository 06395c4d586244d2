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
    /// What calls do while the connections to their endpoint are full.
    pub queue: QueueSettings,
    /// The least time between two resolutions of a DNS name: 30 s.
    // LB-06
    pub dns_interval: Duration,
}

/// How many attempts to connect may run at once. Zero counts as one.
///
/// An attempt that has not been answered for 2 s no longer counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MaxConnecting(pub usize);

/// What calls do while the connections to their endpoint are full: each of them carries as many calls as the endpoint takes
/// at once, and there may be no more connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct QueueSettings {
    /// How many calls may wait for room at one endpoint: 10,000. Further ones fail
    /// ([`MeshErrorKind::QueueFull`](crate::runtime::MeshErrorKind::QueueFull)).
    pub max_queued: MaxQueued,
    /// Whether calls go to another endpoint first: they do.
    pub full_endpoints: FullEndpoints,
}

/// How many calls may wait for room at one endpoint. With zero none waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MaxQueued(pub u32);

impl Default for MaxQueued {
    /// 10,000
    fn default() -> Self {
        Self(10_000)
    }
}

/// What becomes of a call for which the balancer picks an endpoint without room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum FullEndpoints {
    /// The balancer picks again, up to 8 times, and the call goes to the first endpoint with room. It waits only if there is
    /// none, or if the policy names the same endpoint twice.
    #[default]
    PassOver,
    /// The call waits for room there: shares of calls stay as the policy wants them, as in gRPC.
    Wait,
}

impl Default for PoolSettings {
    fn default() -> Self {
        Self {
            max_connecting: MaxConnecting(64),
            subchannel: Settings::default(),
            queue: QueueSettings::default(),
            dns_interval: Duration::from_secs(30),
        }
    }
}
