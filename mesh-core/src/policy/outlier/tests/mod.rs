//! Outlier detection, with a clock that only moves when told.

mod counters;
mod ejections;
mod rates;
mod rows;

use std::sync::Arc;
use std::time::{Duration, Instant};

use rand::SeedableRng;
use rand::rngs::StdRng;

use super::{CallResult, Change, Detector, FailureKind, MethodCounts};
use crate::config::{FailurePercentageEjection, OutlierDetection, SuccessRateEjection};
use crate::policy::lb::{Connectivity, EndpointId, EndpointLoad};

const FAILED: CallResult = CallResult::Failure(FailureKind::Server);
const UNAVAILABLE: CallResult = CallResult::Failure(FailureKind::Gateway);

/// A cluster's endpoints, all connected, and the detector that watches them.
struct Cluster {
    detector: Detector,
    loads: Vec<Arc<EndpointLoad>>,
    /// When the detector was switched on.
    start: Instant,
    now: Instant,
    rng: StdRng,
}

impl Cluster {
    fn new(count: u32, settings: &OutlierDetection) -> Self {
        let start = Instant::now();
        let (detector, rng) = (Detector::default(), StdRng::seed_from_u64(1));
        let mut cluster = Self { detector, loads: Vec::new(), start, now: start, rng };
        for id in 0..count {
            cluster.loads.push(Arc::default());
            cluster.join(id);
        }
        assert!(cluster.detector.configure(start, Some(settings)).is_empty());
        cluster
    }

    /// An endpoint comes, and is connected.
    fn join(&mut self, id: u32) {
        self.detector.insert(EndpointId(id), self.loads[id as usize].clone());
        self.connection(id, Connectivity::Ready);
    }

    /// An endpoint's connection changes; gives what the balancer hears.
    fn connection(&mut self, id: u32, state: Connectivity) -> Connectivity {
        self.detector.on_connectivity(EndpointId(id), state)
    }

    /// A call ends.
    fn record(&mut self, id: u32, result: CallResult) -> Option<Change> {
        let is_reached = self.loads[id as usize].outcomes.record(result);
        is_reached.then(|| self.detector.on_failures_in_a_row(self.now, EndpointId(id), &mut self.rng))?
    }

    /// Good and bad calls, in turn as far as there are both.
    fn calls(&mut self, id: u32, successes: u32, failures: u32) {
        for number in 0..successes.max(failures) {
            if number < failures {
                self.record(id, FAILED);
            }
            if number < successes {
                self.record(id, CallResult::Success);
            }
        }
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
    }

    /// The interval ends.
    fn sweep(&mut self) -> Vec<Change> {
        self.now = self.detector.next_deadline().expect("detection is on").max(self.now);
        self.detector.on_deadline(self.now, &mut self.rng)
    }

    /// Sweeps as often as this, without calls; the seconds since the start after which an endpoint has returned.
    fn seconds_until_return(&mut self, id: u32) -> u64 {
        for _ in 0..1000 {
            self.sweep();
            if !self.ejected().contains(&id) {
                return (self.now - self.start).as_secs();
            }
        }
        panic!("endpoint {id} does not return");
    }

    fn ejected(&self) -> Vec<u32> {
        let ejected: Vec<_> = self.detector.ejected().map(|ejected| ejected.id.0).collect();
        assert_eq!(self.detector.counts().active(), ejected.len() as u64);
        ejected
    }

    /// What the metrics say, without methods that found nothing.
    fn counts(&self) -> Vec<(&'static str, [u64; 3])> {
        let found = |counts: MethodCounts| {
            let counted = [counts.enforced, counts.enforcement_percentage, counts.max_ejection_overflow];
            (counted != [0; 3]).then_some((counts.method.name(), counted))
        };
        self.detector.counts().methods().filter_map(found).collect()
    }
}

/// Only by success rate, of as many as there are.
fn by_success_rate() -> OutlierDetection {
    let mut settings = OutlierDetection::off();
    settings.max_ejection_percent = 100;
    settings.success_rate = Some(SuccessRateEjection::default());
    settings
}

/// Only by failure percentage, of as many as there are.
fn by_failure_percentage() -> OutlierDetection {
    let mut settings = OutlierDetection::off();
    settings.max_ejection_percent = 100;
    settings.failure_percentage =
        Some(FailurePercentageEjection { minimum_hosts: 1, ..FailurePercentageEjection::default() });
    settings
}

/// What the balancer hears of an endpoint.
fn text(state: &Connectivity) -> String {
    match state {
        Connectivity::TransientFailure(reason) => reason.to_string(),
        other => format!("{other:?}"),
    }
}
