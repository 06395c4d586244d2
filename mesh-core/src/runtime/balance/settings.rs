//! How a pool makes connections.

use std::time::Duration;

use crate::policy::subchannel::Settings;

/// How a pool makes connections.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct PoolSettings {
    /// How many attempts to connect may run at once, over all clusters: 64. Further ones wait their turn.
    pub max_connecting: MaxConnecting,
    /// Backoff, timeouts and happy eyeballs of one endpoint.
    pub subchannel: Settings,
    /// The least time between two resolutions of a DNS name: 30 s (LB-06).
    pub dns_interval: Duration,
}

/// How many attempts to connect may run at once. Zero counts as one.
///
/// An attempt that has not been answered for 2 s no longer counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MaxConnecting(pub usize);

impl Default for PoolSettings {
    fn default() -> Self {
        Self {
            max_connecting: MaxConnecting(64),
            subchannel: Settings::default(),
            dns_interval: Duration::from_secs(30),
        }
    }
}
