//! The shares of ready endpoints, by configured or reported weights and slow start.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::config::{ReportedWeights, SlowStart, WeightSource};

use super::endpoint::IdMap;
use super::load::{FULL_SHARE, WeightRecord};
use super::{EndpointId, EndpointLoad, LbEndpoint};

/// Sets the shares of ready endpoints, which pickers read.
///
/// An endpoint that comes or goes costs the same for ten endpoints and for ten thousand, unless the largest weight doubles or
/// halves. Reported weights are computed for all endpoints at once, once in each period.
#[derive(Debug)]
pub(super) struct Shares {
    source: WeightSource,
    slow_start: Option<SlowStart>,
    ready: IdMap<Weighed>,
    /// How many ready endpoints have each configured weight.
    weights: BTreeMap<u32, usize>,
    /// The weight whose share is [`FULL_SHARE`].
    full: f64,
    /// The mean of the usable reported weights.
    mean: Option<f64>,
    /// Ready endpoints whose weight grows.
    growing: IdMap<()>,
    are_equal: Arc<AtomicBool>,
    deadline: Option<Instant>,
}

/// A ready endpoint.
#[derive(Debug)]
struct Weighed {
    weight: u32,
    load: Arc<EndpointLoad>,
    record: Arc<WeightRecord>,
}

impl Shares {
    /// Without endpoints.
    pub(super) fn new(source: WeightSource, slow_start: Option<SlowStart>) -> Self {
        Self {
            source,
            slow_start: slow_start.filter(|slow_start| !slow_start.window.is_zero()),
            ready: IdMap::default(),
            weights: BTreeMap::new(),
            full: 1.0,
            mean: None,
            growing: IdMap::default(),
            are_equal: Arc::new(AtomicBool::new(true)),
            deadline: None,
        }
    }

    /// Whether all ready endpoints have the same share, kept up to date.
    pub(super) fn are_equal(&self) -> Arc<AtomicBool> {
        self.are_equal.clone()
    }

    /// An endpoint is ready from now on.
    pub(super) fn enter(&mut self, now: Instant, endpoint: &LbEndpoint) {
        let load = endpoint.load.clone();
        // After a change of policy, an endpoint has been ready for longer.
        let record = load.weight.record();
        let ready_since = *record.history().ready_since.get_or_insert(now);
        let is_growing = self.slow_start.as_ref().is_some_and(|slow| slow.factor(now, ready_since).is_some());
        if is_growing {
            self.growing.insert(endpoint.id, ());
        }
        let weight = self.base(endpoint);
        *self.weights.entry(weight).or_default() += 1;
        self.ready.insert(endpoint.id, Weighed { weight, load, record });
        self.settle(now, endpoint.id);
        if let Some(step) = self.step() {
            self.deadline.get_or_insert(now + step);
        }
    }

    /// An endpoint is no longer ready.
    pub(super) fn leave(&mut self, id: EndpointId) {
        let Some(weighed) = self.ready.remove(&id) else { return };
        let mut history = weighed.record.history();
        // LB-45, LB-51: blackout and slow start begin anew when it is ready again
        (history.ready_since, history.reporting_since) = (None, None);
        drop(history);
        self.growing.remove(&id);
        self.uncount(weighed.weight);
        self.publish_equality();
    }

    /// The configured weight of an endpoint has changed.
    pub(super) fn reweigh(&mut self, now: Instant, endpoint: &LbEndpoint) {
        let weight = self.base(endpoint);
        let Some(weighed) = self.ready.get_mut(&endpoint.id) else { return };
        if weighed.weight == weight {
            return;
        }
        let before = std::mem::replace(&mut weighed.weight, weight);
        self.uncount(before);
        *self.weights.entry(weight).or_default() += 1;
        self.settle(now, endpoint.id);
    }

    /// When the shares change by themselves.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// Does nothing before the deadline.
    pub(super) fn on_deadline(&mut self, now: Instant) {
        if self.deadline.is_none_or(|deadline| deadline > now) {
            return;
        }
        if let WeightSource::Reported(settings) = &self.source {
            self.compute(now, &settings.clone());
        }
        self.grow(now);
        self.deadline = self.step().map(|step| now + step);
        self.publish_equality();
    }

    /// How long until the shares change next.
    fn step(&self) -> Option<Duration> {
        let growth = self.slow_start.filter(|_| !self.growing.is_empty()).map(|slow_start| slow_start.step());
        let reports = match &self.source {
            WeightSource::Reported(settings) if !self.ready.is_empty() => {
                Some(settings.update_period.max(SHORTEST_PERIOD))
            }
            _ => None,
        };
        growth.into_iter().chain(reports).min()
    }

    /// The weight without slow start and reports.
    fn base(&self, endpoint: &LbEndpoint) -> u32 {
        match self.source {
            // LB-52
            WeightSource::Configured => endpoint.weight,
            WeightSource::Equal | WeightSource::Reported(_) => 1,
        }
    }

    fn uncount(&mut self, weight: u32) {
        if let Some(count) = self.weights.get_mut(&weight) {
            *count -= 1;
            if *count == 0 {
                self.weights.remove(&weight);
            }
        }
    }

    /// Sets the share of one endpoint that is new or has changed.
    fn settle(&mut self, now: Instant, id: EndpointId) {
        let heaviest = self.weights.last_key_value().map_or(1.0, |(weight, _)| f64::from(*weight));
        let is_reported = matches!(self.source, WeightSource::Reported(_));
        if !is_reported && (heaviest > self.full || heaviest * 2.0 < self.full) {
            self.full = heaviest;
            let all: Vec<_> = self.ready.keys().copied().collect();
            all.into_iter().for_each(|id| self.set(now, id));
        }
        self.set(now, id);
        self.publish_equality();
    }

    /// Sets the share of an endpoint from its configured weight; with reported weights, from their mean.
    fn set(&self, now: Instant, id: EndpointId) {
        let Some(weighed) = self.ready.get(&id) else { return };
        let weight = match self.source {
            WeightSource::Reported(_) => self.mean.unwrap_or(self.full),
            WeightSource::Configured | WeightSource::Equal => f64::from(weighed.weight),
        };
        self.set_weight(now, weighed, weight);
    }

    fn set_weight(&self, now: Instant, weighed: &Weighed, weight: f64) {
        let factor = self.slow_start.as_ref().and_then(|slow_start| {
            let ready_since = weighed.record.history().ready_since?;
            slow_start.factor(now, ready_since)
        });
        let share = weight / self.full * factor.unwrap_or(1.0) * f64::from(FULL_SHARE);
        weighed.load.share.set((share.round() as u32).clamp(1, FULL_SHARE));
    }

    /// Lets the weights of new endpoints grow.
    fn grow(&mut self, now: Instant) {
        let Some(slow_start) = self.slow_start else { return };
        let growing: Vec<_> = self.growing.keys().copied().collect();
        for id in growing {
            if !matches!(self.source, WeightSource::Reported(_)) {
                self.set(now, id);
            }
            let ready_since = self.ready.get(&id).and_then(|weighed| weighed.record.history().ready_since);
            if ready_since.is_none_or(|since| slow_start.factor(now, since).is_none()) {
                self.growing.remove(&id);
            }
        }
    }

    /// Computes the shares of all ready endpoints from their reports.
    fn compute(&mut self, now: Instant, settings: &ReportedWeights) {
        let usable = |weighed: &Weighed| usable_weight(now, &weighed.record, settings);
        let weights: Vec<_> = self.ready.values().map(usable).collect();
        let known: Vec<f64> = weights.iter().copied().flatten().collect();
        // LB-46
        self.mean = (known.len() >= 2).then(|| known.iter().sum::<f64>() / known.len() as f64);
        self.full = match self.mean {
            Some(_) => known.iter().copied().fold(f64::MIN_POSITIVE, f64::max),
            None => 1.0,
        };
        for (weighed, weight) in self.ready.values().zip(weights) {
            let weight = self.mean.map_or(self.full, |mean| weight.unwrap_or(mean));
            self.set_weight(now, weighed, weight);
        }
    }

    fn publish_equality(&self) {
        let are_equal = self.weights.len() <= 1 && self.growing.is_empty();
        self.are_equal.store(are_equal, Ordering::Relaxed);
    }
}

/// LB-45: the weight that an endpoint has reported; `None`: there is none, it is too old, or the endpoint has not sent reports
/// for long enough.
fn usable_weight(now: Instant, record: &WeightRecord, settings: &ReportedWeights) -> Option<f64> {
    let (reports, weight) = record.reported();
    let mut history = record.history();
    if reports != history.reports_seen {
        history.reports_seen = reports;
        history.last_report = Some(now);
        history.reporting_since.get_or_insert(now);
    }
    if now.saturating_duration_since(history.last_report?) >= settings.expiration {
        history.reporting_since = None;
        return None;
    }
    let is_usable = now.saturating_duration_since(history.reporting_since?) >= settings.blackout;
    is_usable.then_some(f64::from(weight))
}

/// LB-43: weights are not computed more often than this.
const SHORTEST_PERIOD: Duration = Duration::from_millis(100);
