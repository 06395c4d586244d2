//! Mirrors: copies of a route's requests to other clusters, whose responses are dropped (Envoy's `request_mirror_policies`).
//!
//! A mirror begins when the first attempt of its call is sent, so that a call that is refused has none (C59), and is not repeated
//! with the attempts. It runs in a task of its own, within limits of its own ([`MirrorLimits`]) and until a deadline: it never
//! delays the call, and never fails it. Filters do not see it (HF-47).
// RT-65

mod protocol;
mod start;
mod tap;

use std::fmt;
use std::time::Duration;

use crate::config::Name;
use crate::counters::{Counter, CounterStore};
use crate::runtime::retry::ChannelReplay;
use crate::runtime::{ReplayLimit, ReplayMemory};
use crate::sharded::{Permits, Refs};

pub(crate) use start::{MirrorTarget, Mirrors, prepare};
pub(crate) use tap::{Tapped, Taps};

/// How much the mirrored requests of a target may cost. A request beyond a limit is not mirrored, or its mirror is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct MirrorLimits {
    /// How many mirrored requests may run at once: 100 by default.
    pub requests: usize,
    /// How many bytes of its request a mirror may be behind: 256 KiB by default.
    pub bytes: usize,
    /// How many bytes all mirrors of the target together may be behind: 4 MiB by default.
    pub memory: usize,
    /// How long a mirrored request may take: 15 s by default, and never longer than its call.
    pub timeout: Duration,
}

impl Default for MirrorLimits {
    fn default() -> Self {
        Self { requests: 100, bytes: 256 << 10, memory: 4 << 20, timeout: Duration::from_secs(15) }
    }
}

/// What the mirrored requests of a target cost at the moment.
pub(crate) struct MirrorRoom {
    limits: MirrorLimits,
    requests: Permits,
    bytes: Refs<ChannelReplay>,
    sent: Counter,
    skipped: Counter,
}

impl MirrorRoom {
    pub(crate) fn new(limits: MirrorLimits, target: &str, counters: &CounterStore) -> Self {
        let counter = |family| counters.counter(family, [Name::from(target)]);
        Self {
            limits,
            requests: Permits::new(1),
            bytes: Refs::new(ChannelReplay::new(ReplayLimit(limits.bytes), ReplayMemory(limits.memory))),
            sent: counter(&crate::counters::MIRRORED_REQUESTS),
            skipped: counter(&crate::counters::SKIPPED_MIRRORS),
        }
    }
}

impl fmt::Debug for MirrorRoom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MirrorRoom")
            .field("limits", &self.limits)
            .field("requests", &self.requests.in_use())
            .finish_non_exhaustive()
    }
}
