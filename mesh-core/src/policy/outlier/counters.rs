//! How calls have ended at an endpoint.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};

use crate::config::{ConsecutiveEjection, OutlierDetection};

use super::consecutive::ConsecutiveFailures;

/// How an attempt has ended, for outlier detection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CallResult {
    /// The endpoint answered without an error.
    Success,
    /// The endpoint answered with an error.
    Failure(FailureKind),
    /// The endpoint could not be reached, its connection broke, or it did not answer in time.
    LocalOrigin,
    /// Says nothing about the endpoint: the client cancelled or refused the attempt.
    Neutral,
}

/// What an endpoint's error means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum FailureKind {
    /// The request was wrong, or came at the wrong time. Counts as a failure in rates, and ends a row of failures.
    // LB-61
    Request,
    /// The endpoint has no capacity for the request, and may for another one: RESOURCE_EXHAUSTED, or the HTTP status 429. Counts as
    /// [`Request`](Self::Request) for outlier detection.
    Throttled,
    /// The endpoint failed: an HTTP status of 500 and above, or a gRPC status that means the same.
    Server,
    /// As [`Server`](Self::Server), and one of the HTTP statuses 502, 503 and 504.
    Gateway,
}

/// How calls have ended at one endpoint. Written by the request path, read by the cluster's
/// [`Detector`](super::Detector).
///
/// While outlier detection is off, [`record`](Self::record) is one relaxed load.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    /// What is counted: bits of [`RATES`], [`ROWS`] and [`SPLIT`].
    counting: AtomicU8,
    /// What the endpoint answered.
    answers: Tally,
    /// Whether the endpoint was reached; counted only while [`SPLIT`] is set.
    reached: Tally,
    pub(super) server: ConsecutiveFailures,
    pub(super) gateway: ConsecutiveFailures,
    pub(super) local_origin: ConsecutiveFailures,
    /// Whether the endpoint is ejected.
    is_ejected: AtomicBool,
}

/// The shares of failed calls are needed (LB-54).
const RATES: u8 = 1;
/// The failures in a row are needed.
const ROWS: u8 = 2;
/// Failures to reach the endpoint are counted apart from its answers.
const SPLIT: u8 = 4;

impl Counters {
    /// Counts the end of an attempt. `true`: failures in a row have reached a threshold, and the caller calls
    /// [`on_failures_in_a_row`](super::Detector::on_failures_in_a_row).
    pub(crate) fn record(&self, result: CallResult) -> bool {
        let counting = self.counting.load(Ordering::Relaxed);
        counting != 0 && self.count(counting, result)
    }

    /// Whether the endpoint is ejected.
    pub(crate) fn is_ejected(&self) -> bool {
        self.is_ejected.load(Ordering::Relaxed)
    }

    pub(super) fn set_ejected(&self, is_ejected: bool) {
        self.is_ejected.store(is_ejected, Ordering::Relaxed);
    }

    /// Whether anything is counted.
    pub(crate) fn is_on(&self) -> bool {
        self.counting.load(Ordering::Relaxed) != 0
    }

    fn count(&self, counting: u8, result: CallResult) -> bool {
        if result == CallResult::Neutral {
            return false;
        }
        if counting & SPLIT == 0 {
            return self.count_answer(counting, result);
        }
        let is_reached = result != CallResult::LocalOrigin;
        if counting & RATES != 0 {
            self.reached.count(is_reached);
        }
        if is_reached {
            self.local_origin.end();
            return self.count_answer(counting, result);
        }
        self.local_origin.grow()
    }

    fn count_answer(&self, counting: u8, result: CallResult) -> bool {
        if counting & RATES != 0 {
            // LB-61
            self.answers.count(result == CallResult::Success);
        }
        if counting & ROWS == 0 {
            return false;
        }
        match result {
            CallResult::Success
            | CallResult::Failure(FailureKind::Request | FailureKind::Throttled)
            | CallResult::Neutral => {
                self.gateway.end();
                self.server.end();
                false
            }
            CallResult::Failure(FailureKind::Server) => {
                self.gateway.end();
                self.server.grow()
            }
            CallResult::Failure(FailureKind::Gateway) | CallResult::LocalOrigin => {
                let gateway = self.gateway.grow();
                self.server.grow() || gateway
            }
        }
    }

    /// Counts what these settings need from now on, and clears counts that they do not need.
    pub(super) fn configure(&self, settings: Option<&OutlierDetection>) {
        let threshold = |settings: Option<ConsecutiveEjection>| settings.map_or(0, |row| row.threshold);
        let local = settings.and_then(|settings| settings.local_origin);
        self.server.set_threshold(threshold(settings.and_then(|settings| settings.consecutive_5xx)));
        let gateway = settings.and_then(|settings| settings.consecutive_gateway_failures);
        self.gateway.set_threshold(threshold(gateway));
        self.local_origin.set_threshold(threshold(local.and_then(|local| local.consecutive_failures)));
        let counts_rates = settings.is_some_and(OutlierDetection::counts_rates);
        if !counts_rates {
            self.take();
        }
        let is_in_rows =
            [&self.server, &self.gateway, &self.local_origin].map(ConsecutiveFailures::threshold) != [0; 3];
        let bits = [(counts_rates, RATES), (is_in_rows, ROWS), (local.is_some(), SPLIT)];
        let bits = bits.iter().filter(|(is_set, _)| *is_set).map(|(_, bit)| bit).sum();
        // SPLIT alone counts nothing.
        self.counting.store(if bits == SPLIT { 0 } else { bits }, Ordering::Relaxed);
    }

    /// Reads and clears the counts in one step each, so that every call is in exactly one interval, however many threads
    /// record meanwhile.
    pub(super) fn take(&self) -> Interval {
        Interval { answers: self.answers.take(), reached: self.reached.take() }
    }

    /// Clears every count.
    pub(super) fn reset(&self) {
        self.take();
        self.reset_rows();
    }

    /// Clears the failures in a row.
    pub(super) fn reset_rows(&self) {
        for row in [&self.server, &self.gateway, &self.local_origin] {
            row.reset();
        }
    }
}

/// What was counted between two sweeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Interval {
    pub(super) answers: Calls,
    pub(super) reached: Calls,
}

/// How many calls ended well, and how many did not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Calls {
    pub(super) successes: u64,
    pub(super) failures: u64,
}

impl Calls {
    pub(super) fn total(self) -> u64 {
        self.successes + self.failures
    }
}

#[derive(Debug, Default)]
struct Tally {
    successes: AtomicU64,
    failures: AtomicU64,
}

impl Tally {
    fn count(&self, is_success: bool) {
        let counter = if is_success { &self.successes } else { &self.failures };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    fn take(&self) -> Calls {
        Calls {
            successes: self.successes.swap(0, Ordering::Relaxed),
            failures: self.failures.swap(0, Ordering::Relaxed),
        }
    }
}
