//! What the request path and balancers write for pickers to read.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use arc_swap::ArcSwapOption;

use crate::policy::outlier;

use super::latency::Latency;

/// Counters that the request path writes and pickers read.
///
/// They stay with the endpoint as long as it is in its cluster, also when the cluster's policy changes.
#[derive(Debug, Default)]
pub struct EndpointLoad {
    /// Calls that have been sent and not ended. Counted for least request and for policies of users; calls that began under
    /// another policy are not counted.
    pub in_flight: AtomicU32,
    /// How calls have ended, for outlier detection.
    pub(crate) outcomes: outlier::Counters,
    /// The endpoint's share, by its weight: the balancer sets it.
    pub(crate) share: Share,
    /// The endpoint's own reports of its weight.
    pub(crate) weight: EndpointWeight,
    /// The latency of its calls, for peak EWMA.
    pub(crate) latency: Latency,
}

/// A weight in parts of the largest weight: 1 to [`FULL_SHARE`].
#[derive(Debug, Default)]
pub(crate) struct Share(AtomicU32);

impl Share {
    #[inline]
    pub(crate) fn get(&self) -> u32 {
        self.0.load(Ordering::Relaxed)
    }

    pub(super) fn set(&self, share: u32) {
        self.0.store(share, Ordering::Relaxed);
    }
}

/// What an endpoint's weight is made of.
#[derive(Debug, Default)]
pub(crate) struct EndpointWeight {
    /// Made when a policy first uses weights.
    record: ArcSwapOption<WeightRecord>,
}

/// The reports of an endpoint.
#[derive(Debug, Default)]
pub(crate) struct WeightRecord {
    /// The number of reports in the upper half, the weight of the last one as an `f32` in the lower half.
    reported: AtomicU64,
    history: Mutex<WeightHistory>,
}

/// The share of the heaviest endpoint.
pub(crate) const FULL_SHARE: u32 = 65_535;

/// The times that decide how much a weight counts.
#[derive(Debug, Default)]
pub(crate) struct WeightHistory {
    /// Since when the endpoint has been ready without interruption.
    pub(crate) ready_since: Option<Instant>,
    /// The number of reports that the balancer has seen.
    pub(crate) reports_seen: u32,
    /// When the balancer saw the last report.
    pub(crate) last_report: Option<Instant>,
    /// Since when the endpoint has sent reports without interruption.
    pub(crate) reporting_since: Option<Instant>,
}

impl EndpointWeight {
    /// The endpoint has reported a load that leads to this weight. Ignored unless a policy uses weights.
    pub(crate) fn report(&self, weight: f32) {
        let record = self.record.load();
        let Some(record) = &*record else { return };
        let number = (record.reported.load(Ordering::Relaxed) >> 32) as u32;
        let next = u64::from(number.wrapping_add(1)) << 32;
        record.reported.store(next | u64::from(weight.to_bits()), Ordering::Relaxed);
    }

    /// The endpoint's reports; only its cluster's balancer calls this.
    pub(crate) fn record(&self) -> Arc<WeightRecord> {
        self.record.load_full().unwrap_or_else(|| {
            let record = Arc::<WeightRecord>::default();
            self.record.store(Some(record.clone()));
            record
        })
    }
}

impl WeightRecord {
    /// The number of reports, and the weight of the last one.
    pub(crate) fn reported(&self) -> (u32, f32) {
        let reported = self.reported.load(Ordering::Relaxed);
        ((reported >> 32) as u32, f32::from_bits(reported as u32))
    }

    pub(crate) fn history(&self) -> MutexGuard<'_, WeightHistory> {
        // No code that holds the lock can panic in the middle of a change.
        self.history.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
