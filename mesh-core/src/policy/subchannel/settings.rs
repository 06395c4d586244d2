//! How an endpoint's connection is made.

use std::time::Duration;

use crate::policy::backoff::BackoffSettings;

/// How an endpoint's connection is made.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
#[non_exhaustive]
pub struct Settings {
    /// The pause between failed passes over the addresses, from the beginning of one to the beginning of the next.
    pub backoff: BackoffSettings,
    /// How long an attempt may take at least; 20 s.
    pub connect_timeout: ConnectTimeout,
    /// How long one address is tried alone before the next one is tried beside it; 250 ms.
    pub attempt_delay: AttemptDelay,
}

/// How long an attempt may take at least. A longer backoff gives it more time.
// LB-74
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConnectTimeout(pub Duration);

impl Default for ConnectTimeout {
    fn default() -> Self {
        Self(Duration::from_secs(20))
    }
}

/// The connection attempt delay of happy eyeballs (RFC 8305), from 100 ms to 2 s.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AttemptDelay(Duration);

impl AttemptDelay {
    /// A delay, moved into the allowed range.
    // LB-69
    pub fn new(delay: Duration) -> Self {
        Self(delay.clamp(Duration::from_millis(100), Duration::from_secs(2)))
    }

    /// The delay.
    pub fn duration(self) -> Duration {
        self.0
    }
}

impl Default for AttemptDelay {
    /// 250 ms.
    fn default() -> Self {
        Self(Duration::from_millis(250))
    }
}
