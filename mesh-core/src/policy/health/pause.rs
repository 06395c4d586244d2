//! The time between two checks.

use std::time::Duration;

use rand::{Rng, RngExt};

use crate::config::HealthCheck;

use super::Checker;
use super::checker::Edge;

/// The time until an endpoint's next check. It is longer while its cluster has never had a call; the first call ends that, so the
/// driver asks again after each part of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pause {
    /// Once the cluster has had a call.
    used: Duration,
    /// While it has had none.
    unused: Duration,
    elapsed: Duration,
}

/// Whether a cluster has had a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Traffic {
    /// None since the cluster was first used.
    None,
    Some,
}

/// The time before the first check of an endpoint.
pub(crate) fn first_pause(settings: &HealthCheck, rng: &mut dyn Rng) -> Duration {
    up_to(settings.initial_jitter, rng)
}

impl Checker {
    /// The time until the next check.
    // LB-65
    pub(crate) fn pause(&self, settings: &HealthCheck, rng: &mut dyn Rng) -> Pause {
        let intervals = &settings.intervals;
        let used = match (self.was_good, self.edge) {
            (true, Edge::Settled) => intervals.healthy,
            (true, Edge::Pending) => intervals.healthy_edge,
            (false, Edge::Settled) => intervals.unhealthy,
            (false, Edge::Pending) => intervals.unhealthy_edge,
        };
        let unused = match (self.was_good, self.edge) {
            (true, Edge::Settled) => intervals.no_traffic_healthy,
            _ => intervals.no_traffic,
        };
        let mut jittered = |interval: Duration| {
            let share = interval.mul_f64(f64::from(settings.interval_jitter_percent) / 100.0);
            let time = interval + up_to(share, rng) + up_to(settings.interval_jitter, rng);
            time.max(SHORTEST)
        };
        Pause { used: jittered(used), unused: jittered(unused), elapsed: Duration::ZERO }
    }
}

impl Pause {
    /// The next part of the pause, after which the driver asks again. `None`: the check is due.
    pub(crate) fn next(&mut self, traffic: Traffic) -> Option<Duration> {
        let full = match traffic {
            Traffic::Some => self.used,
            Traffic::None => self.unused,
        };
        let rest = full.checked_sub(self.elapsed).filter(|rest| !rest.is_zero())?;
        let part = rest.min(self.used);
        self.elapsed += part;
        Some(part)
    }
}

fn up_to(most: Duration, rng: &mut dyn Rng) -> Duration {
    most.mul_f64(rng.random_range(0.0..1.0))
}

/// A shorter one would check in a loop.
const SHORTEST: Duration = Duration::from_millis(1);
