//! The order of responses (CS-09).
//!
//! A gRPC client works off a stream in order and asks for a cluster once a route names it. So new and changed content
//! goes out in the order CDS, EDS, LDS, RDS; a type with changes that waits for an answer delays
//! the later ones, for [`Pacing::patience`] at most. An Envoy fails calls on a route to a cluster that it has not warmed,
//! so listeners and routes also wait until a change of clusters or endpoints has been answered. A deleted resource stays
//! until every other response is answered and [`Pacing::removal_grace`] has passed without a request: by then the client
//! has usually unsubscribed from it, and no removal is ever sent.

use std::time::{Duration, Instant};

use super::Stream;
use super::exchange::Exchange;
use crate::resources::ResourceKind;

/// How long types wait for each other.
#[derive(Debug, Clone, Copy)]
pub(in crate::discovery) struct Pacing {
    /// The longest wait of a later type, or of a removal, for earlier ones.
    pub(in crate::discovery) patience: Duration,
    /// Quiet time on the stream before a removal.
    pub(in crate::discovery) removal_grace: Duration,
}

impl Default for Pacing {
    fn default() -> Self {
        Self { patience: Duration::from_secs(5), removal_grace: Duration::from_secs(1) }
    }
}

impl Stream {
    /// Whether [`next_response`](Self::next_response) would return one.
    pub(in crate::discovery) fn has_response(&self, now: Instant) -> bool {
        self.next_step(now).is_some()
    }

    /// The type of the next response; with an instant for a removal of the names that were deleted until then.
    pub(super) fn next_step(&self, now: Instant) -> Option<(ResourceKind, Option<Instant>)> {
        if !self.is_fed {
            return None;
        }
        // CS-09
        for (kind, exchange) in &self.exchanges {
            let Some(since) = exchange.dirty_since() else { continue };
            let is_patient = now < since + self.pacing.patience;
            let must_wait = exchange.is_outstanding() || (is_patient && self.follows_a_change(*kind));
            if !must_wait {
                return Some((*kind, None));
            }
            if is_patient {
                break;
            }
        }
        // Removals last, and referring types before the types that they refer to.
        self.exchanges.iter().rev().filter(|(_, exchange)| !exchange.is_outstanding()).find_map(
            |(kind, exchange)| {
                let due = |since: &&Instant| self.removal_due(**since) <= now;
                let until = exchange.ledger().departing().values().filter(due).max()?;
                Some((*kind, Some(*until)))
            },
        )
    }

    /// Whether a type that this one refers to has changed, and the client has not answered yet.
    fn follows_a_change(&self, kind: ResourceKind) -> bool {
        let refers = matches!(kind, ResourceKind::Listener | ResourceKind::Route);
        refers && self.exchanges.range(..ResourceKind::Listener).any(|(_, earlier)| earlier.is_changing())
    }

    fn removal_due(&self, since: Instant) -> Instant {
        let latest = since + self.pacing.patience;
        match self.is_quiet() {
            true => latest.min(since.max(self.last_activity) + self.pacing.removal_grace),
            false => latest,
        }
    }

    fn is_quiet(&self) -> bool {
        let is_quiet = |exchange: &Exchange| exchange.dirty_since().is_none() && !exchange.is_outstanding();
        self.exchanges.values().all(is_quiet)
    }

    /// When [`has_response`](Self::has_response) or [`overdue`](Self::overdue) may change by time alone;
    /// always after `now`.
    pub(in crate::discovery) fn next_deadline(&self, now: Instant) -> Option<Instant> {
        let waiting = self.exchanges.values().filter_map(Exchange::dirty_since);
        let patience = waiting.map(|since| since + self.pacing.patience);
        let idle = self.exchanges.values().filter(|exchange| !exchange.is_outstanding());
        let removals = idle.filter_map(|exchange| exchange.ledger().departing().values().min().copied());
        let first = (!self.opened).then_some(self.began + self.limits.first_request);
        let all = patience.chain(removals.map(|since| self.removal_due(since))).chain(first);
        all.filter(|deadline| *deadline > now).min()
    }
}
