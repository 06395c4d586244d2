//! Which endpoints of a cluster are ejected.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rand::{Rng, RngExt};

use crate::config::{ConsecutiveEjection, OutlierDetection};
use crate::policy::lb::{Connectivity, EndpointId, EndpointLoad};

use super::consecutive::ConsecutiveFailures;
use super::counters::{Calls, Interval};
use super::ejection::{Ejection, Limit, Population};
use super::rates::{failure_percentage_outliers, success_rate_outliers};
use super::{CurrentEjection, DetectionMethod, EjectionCounts, EjectionReason, Unenforced};

/// Decides which endpoints of a cluster are ejected. The cluster's task calls it with every change of a connection before
/// the balancer sees the change. It outlives balancers and connections: an ejected endpoint stays ejected when either is
/// replaced.
#[derive(Debug, Default)]
pub(crate) struct Detector {
    /// `None` while detection is off.
    settings: Option<OutlierDetection>,
    /// When the current interval began; `None` while detection is off.
    interval_began: Option<Instant>,
    pub(super) endpoints: BTreeMap<EndpointId, Watched>,
    /// How many endpoints there are, and how many of them are ejected.
    pub(super) population: Population,
    counts: Arc<EjectionCounts>,
}

/// An endpoint of the cluster.
#[derive(Debug)]
pub(super) struct Watched {
    load: Arc<EndpointLoad>,
    /// The state of its connection.
    state: Connectivity,
    /// `None` while it is not ejected.
    ejection: Option<Box<Ejection>>,
    multiplier: u32,
}

/// A new state of an endpoint for the balancer, because the endpoint was ejected or has returned.
#[derive(Debug, Clone)]
pub(crate) struct Change {
    /// Which endpoint.
    pub id: EndpointId,
    /// The state that the balancer sees from now on.
    pub state: Connectivity,
    /// Why it is ejected; `None`: it has returned.
    pub reason: Option<EjectionReason>,
}

impl Detector {
    /// A detector that is off. It adds its ejections to `counts`.
    pub(crate) fn new(counts: Arc<EjectionCounts>) -> Self {
        Self {
            settings: None,
            interval_began: None,
            endpoints: BTreeMap::new(),
            population: Population::default(),
            counts,
        }
    }

    /// Adds an endpoint whose connection is [`Idle`](Connectivity::Idle).
    pub(crate) fn insert(&mut self, id: EndpointId, load: Arc<EndpointLoad>) {
        self.remove(id);
        load.outcomes.configure(self.settings.as_ref());
        load.outcomes.reset();
        load.outcomes.set_ejected(false);
        let watched = Watched { load, state: Connectivity::Idle, ejection: None, multiplier: 0 };
        self.endpoints.insert(id, watched);
        self.population.endpoints += 1;
    }

    /// Removes an endpoint, with its counts and its ejection: if it is added again it starts anew (LB-59).
    pub(crate) fn remove(&mut self, id: EndpointId) {
        let Some(gone) = self.endpoints.remove(&id) else { return };
        self.population.endpoints -= 1;
        if gone.ejection.is_some() {
            self.count_ejected(self.population.ejected - 1);
        }
    }

    /// Sets new settings; `None` turns detection off. Ejections stay, and so does the time that the interval has run
    /// (LB-59); when detection is turned off, every ejected endpoint returns.
    pub(crate) fn configure(&mut self, now: Instant, settings: Option<&OutlierDetection>) -> Vec<Change> {
        let settings = settings.filter(|settings| !settings.is_off());
        if self.settings.as_ref() == settings {
            return Vec::new();
        }
        self.settings = settings.cloned();
        for watched in self.endpoints.values() {
            watched.load.outcomes.configure(settings);
        }
        if settings.is_some() {
            if self.interval_began.is_none() {
                self.interval_began = Some(now);
                self.take_counters();
            }
            return Vec::new();
        }
        self.interval_began = None;
        let mut changes = Vec::new();
        for (&id, watched) in &mut self.endpoints {
            watched.multiplier = 0;
            changes.extend(watched.restore(id));
        }
        self.count_ejected(0);
        changes
    }

    /// An endpoint's connection has changed. Returns the state that the balancer sees.
    pub(crate) fn on_connectivity(&mut self, id: EndpointId, state: Connectivity) -> Connectivity {
        let Some(watched) = self.endpoints.get_mut(&id) else { return state };
        watched.state = state;
        // LB-60: only time ends an ejection, whatever the connection does
        watched.ejection.as_ref().map_or_else(|| watched.state.clone(), |ejection| ejection.state())
    }

    /// [`Counters::record`](super::Counters::record) has returned `true`: failures in a row have reached a threshold.
    pub(crate) fn on_failures_in_a_row(
        &mut self,
        now: Instant,
        id: EndpointId,
        rng: &mut dyn Rng,
    ) -> Option<Change> {
        let outcomes = self.endpoints.get(&id)?.load.clone();
        let outcomes = &outcomes.outcomes;
        let settings = self.settings.clone()?;
        let local = settings.local_origin.and_then(|local| local.consecutive_failures);
        let rows: [(&ConsecutiveFailures, DetectionMethod, Option<ConsecutiveEjection>); 3] = [
            (
                &outcomes.gateway,
                DetectionMethod::ConsecutiveGatewayFailure,
                settings.consecutive_gateway_failures,
            ),
            (&outcomes.server, DetectionMethod::Consecutive5xx, settings.consecutive_5xx),
            (&outcomes.local_origin, DetectionMethod::ConsecutiveLocalOriginFailure, local),
        ];
        let mut change = None;
        for (row, method, rule) in rows {
            if let (true, Some(rule)) = (row.take(), rule) {
                let length = f64::from(rule.threshold);
                let reason = EjectionReason { method, measured: length, limit: length };
                let ejected = self.judge(now, id, reason, (Limit::WithOneMore, rule.enforcing_percent), rng);
                change = change.or(ejected);
            }
        }
        change
    }

    /// LB-62: the endpoint's health check has succeeded, which ends its ejection unless the settings say otherwise.
    pub(crate) fn on_good_check(&mut self, id: EndpointId) -> Option<Change> {
        self.settings.as_ref().filter(|settings| settings.good_check_ends_ejection)?;
        let change = self.endpoints.get_mut(&id)?.restore(id)?;
        self.count_ejected(self.population.ejected - 1);
        Some(change)
    }

    /// When [`on_deadline`](Self::on_deadline) is to be called.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        let interval = self.settings.as_ref()?.interval.max(SHORTEST_INTERVAL);
        Some(self.interval_began? + interval)
    }

    /// Ejects outliers by their calls of the interval that ends now, and ends ejections whose time is over (LB-54).
    pub(crate) fn on_deadline(&mut self, now: Instant, rng: &mut dyn Rng) -> Vec<Change> {
        let is_due = self.next_deadline().is_some_and(|deadline| deadline <= now);
        let Some(settings) = self.settings.clone().filter(|_| is_due) else { return Vec::new() };
        self.interval_began = Some(now);
        let (ids, intervals): (Vec<_>, Vec<_>) = self.take_counters().into_iter().unzip();
        let mut changes = Vec::new();
        for (outliers, enforcing_percent) in find_outliers(&intervals, &settings) {
            for (at, reason) in outliers {
                changes.extend(self.judge(now, ids[at], reason, (Limit::Now, enforcing_percent), rng));
            }
        }
        for (&id, watched) in &mut self.endpoints {
            match &watched.ejection {
                None => watched.multiplier = watched.multiplier.saturating_sub(1),
                Some(ejection) if ejection.is_over(now, watched.multiplier, &settings) => {
                    changes.extend(watched.restore(id));
                }
                Some(_) => {}
            }
        }
        self.count_ejected(self.endpoints.values().filter(|one| one.ejection.is_some()).count());
        changes
    }

    /// The endpoints that are ejected now.
    pub(crate) fn ejected(&self) -> impl Iterator<Item = CurrentEjection> {
        self.endpoints.iter().filter_map(|(&id, watched)| {
            let Ejection { since, reason, .. } = **watched.ejection.as_ref()?;
            Some(CurrentEjection { id, since, reason, multiplier: watched.multiplier })
        })
    }

    /// How many outliers have been found and ejected.
    #[cfg(test)]
    pub(crate) fn counts(&self) -> &Arc<EjectionCounts> {
        &self.counts
    }

    /// Ejects an outlier if the maximum of ejections allows it and a draw against `enforcing_percent` succeeds (LB-57).
    fn judge(
        &mut self,
        now: Instant,
        id: EndpointId,
        reason: EjectionReason,
        (limit, enforcing_percent): (Limit, u32),
        rng: &mut dyn Rng,
    ) -> Option<Change> {
        let settings = self.settings.as_ref()?;
        let watched = self.endpoints.get_mut(&id)?;
        if watched.ejection.is_some() {
            return None;
        }
        if !self.population.has_room(limit, settings) {
            self.counts.add_unenforced(reason.method, Unenforced::MaxEjectionOverflow);
            return None;
        }
        if rng.random_range(0..100) >= enforcing_percent {
            self.counts.add_unenforced(reason.method, Unenforced::EnforcementPercentage);
            return None;
        }
        let jitter = random_up_to(settings.max_ejection_time_jitter, rng);
        let ejection = Box::new(Ejection::new(now, reason, jitter));
        let state = ejection.state();
        // LB-58
        watched.multiplier = watched.multiplier.saturating_add(1);
        watched.ejection = Some(ejection);
        watched.load.outcomes.set_ejected(true);
        self.counts.add_enforced(reason.method);
        self.count_ejected(self.population.ejected + 1);
        Some(Change { id, state, reason: Some(reason) })
    }

    /// Every endpoint's calls since the counters were last taken.
    fn take_counters(&self) -> Vec<(EndpointId, Interval)> {
        self.endpoints.iter().map(|(id, watched)| (*id, watched.load.outcomes.take())).collect()
    }

    fn count_ejected(&mut self, ejected: usize) {
        let before = std::mem::replace(&mut self.population.ejected, ejected);
        self.counts.change_active(before, ejected);
    }
}

impl Drop for Detector {
    fn drop(&mut self) {
        self.count_ejected(0);
    }
}

impl Watched {
    /// Ends an ejection, and clears the endpoint's counts of earlier calls.
    fn restore(&mut self, id: EndpointId) -> Option<Change> {
        self.ejection.take()?;
        self.load.outcomes.set_ejected(false);
        self.load.outcomes.reset_rows();
        Some(Change { id, state: self.state.clone(), reason: None })
    }
}

/// Outliers, each by its place among the intervals, and how many percent of them are ejected.
type Outliers = (Vec<(usize, EjectionReason)>, u32);

/// The outliers that each configured algorithm finds, in order.
fn find_outliers(intervals: &[Interval], settings: &OutlierDetection) -> Vec<Outliers> {
    let answers: Vec<Calls> = intervals.iter().map(|interval| interval.answers).collect();
    let reached: Vec<Calls> = intervals.iter().map(|interval| interval.reached).collect();
    let local = settings.local_origin.unwrap_or_default();
    let rates = [
        (&answers, settings.success_rate, DetectionMethod::SuccessRate),
        (&reached, local.success_rate, DetectionMethod::SuccessRateLocalOrigin),
    ];
    let percentages = [
        (&answers, settings.failure_percentage, DetectionMethod::FailurePercentage),
        (&reached, local.failure_percentage, DetectionMethod::FailurePercentageLocalOrigin),
    ];
    let mut found = Vec::new();
    for ((by_rate, rate, method), (by_percentage, percentage, other)) in rates.into_iter().zip(percentages) {
        found
            .extend(rate.map(|rule| (success_rate_outliers(by_rate, &rule, method), rule.enforcing_percent)));
        found.extend(
            percentage.map(|rule| {
                (failure_percentage_outliers(by_percentage, &rule, other), rule.enforcing_percent)
            }),
        );
    }
    found
}

fn random_up_to(longest: Duration, rng: &mut dyn Rng) -> Duration {
    let nanos = u64::try_from(longest.as_nanos()).unwrap_or(u64::MAX);
    Duration::from_nanos(rng.random_range(0..=nanos))
}

/// With an interval of zero the deadline would always be due.
const SHORTEST_INTERVAL: Duration = Duration::from_millis(1);
