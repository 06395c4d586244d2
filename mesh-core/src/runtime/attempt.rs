//! One attempt of a call, from the choice of its endpoint.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use http_body::Frame;

use crate::config::{EndpointAddresses, Name, RoutingPriority};
use crate::policy::lb::{EndpointLoad, Moment};
use crate::policy::load_report::Ending;
use crate::policy::load_report::orca::{OrcaReport, Payload};
use crate::policy::outlier::{CallResult, FailureKind};
use crate::sharded::{Ref, Refs};

use super::MeshErrorKind;
use super::accounting::Accounting;
use super::balance::Slot;
use super::load_report::Reporting;
use super::observed::ObservedAttempt;
use super::retry::RetryPermit;

/// One attempt of a call, from the choice of its endpoint to its end. While it exists it is counted in the cluster, at the
/// endpoint and in the retry budget.
///
/// It ends exactly once, by [`finish`](Self::finish); dropping it before counts as a cancellation.
pub(crate) struct Attempt<T> {
    slot: Ref<Slot<T>>,
    permit: Option<RetryPermit>,
    /// Keeps the cluster's load reported until there is a response.
    reporting: Option<Ref<Reporting>>,
    judge: Judge,
    priority: RoutingPriority,
    stage: AttemptStage,
    /// When it was sent, while its latency is to be measured.
    started: Option<Moment>,
    /// `None`: its call is not observed.
    observed: Option<Box<ObservedAttempt>>,
}

/// Decides from status and last headers how an attempt failed; `None`: it succeeded.
pub(crate) type Judge = fn(StatusCode, &HeaderMap) -> Option<FailureKind>;

/// How an attempt ended.
#[derive(Debug)]
pub(crate) enum Outcome<'a> {
    /// With a complete response. `last` are the trailers, or the head's headers if the response ends with its head, or none.
    Response { status: StatusCode, last: &'a HeaderMap },
    /// It was not sent, or the endpoint cannot have processed it.
    NotSent,
    /// The endpoint refused it, or the stream or the connection failed.
    Failed,
    /// The call's deadline passed after it was sent.
    Overdue,
    /// The caller cancelled it.
    Cancelled,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum AttemptStage {
    /// It is counted, and not sent yet.
    Admitted,
    /// It was handed to the connection.
    Sent,
    Finished,
}

impl<T> Attempt<T> {
    /// Counts an attempt of a call of this priority in the cluster and at the endpoint. `None`: the cluster's circuit breaker
    /// rejects it.
    #[inline(always)]
    pub(crate) fn admit(slot: &Refs<Slot<T>>, priority: RoutingPriority) -> Option<Self> {
        let accounting = &slot.accounting;
        // LB-22, LB-24
        if !accounting.load.of(priority).in_flight.enter(accounting.limits(priority).max_requests) {
            accounting.drop_over_limit();
            return None;
        }
        if slot.accounting.counts_by_endpoint {
            slot.load.in_flight.fetch_add(1, Ordering::Relaxed);
            slot.accounting.load.mark_used();
        }
        Some(Self {
            slot: slot.own(),
            permit: None,
            reporting: None,
            judge: |_, _| None,
            priority,
            stage: AttemptStage::Admitted,
            started: None,
            observed: None,
        })
    }

    /// It is handed to the connection now. `permit` counts it in the retry budget until it ends.
    #[inline(always)]
    pub(crate) fn on_sent(&mut self, permit: Option<RetryPermit>, judge: Judge) {
        self.permit = permit;
        self.judge = judge;
        self.stage = AttemptStage::Sent;
        if self.slot.accounting.latency_decay.is_some() {
            self.started = Some(now());
        }
        if let Some(counts) = &self.slot.reported {
            counts.start();
            self.reporting = self.slot.accounting.reporting();
        }
    }

    /// Its observer learns of its end.
    pub(crate) fn observe(&mut self, observed: Box<ObservedAttempt>) {
        self.observed = Some(observed);
    }

    /// It fails with an error of this kind; its end follows.
    pub(crate) fn on_error(&mut self, kind: MeshErrorKind, h2_code: Option<u32>) {
        if let Some(observed) = &mut self.observed {
            observed.on_error(kind, h2_code);
        }
    }

    /// A frame of the response has arrived.
    #[inline]
    pub(crate) fn on_frame(&mut self, frame: &Frame<Bytes>) {
        if let Some(observed) = &mut self.observed {
            observed.on_frame(frame);
        }
    }

    /// The head of the response has arrived that the caller gets.
    pub(crate) fn on_head(&mut self) {
        if let Some(observed) = &mut self.observed {
            observed.on_head();
        }
        self.reporting = None;
        if let Some(started) = self.started
            && let Some(decay) = self.slot.accounting.latency_decay
        {
            let now = now();
            self.slot.load.latency.observe(now, now.since(started), decay);
        }
    }

    /// Removes the attempt from all counts, and records its outcome for outlier detection and load reports. Only the first
    /// call has an effect.
    pub(crate) fn finish(&mut self, outcome: &Outcome<'_>) {
        let stage = std::mem::replace(&mut self.stage, AttemptStage::Finished);
        if stage == AttemptStage::Finished {
            return;
        }
        if let Some(observed) = &mut self.observed {
            let place = (self.slot.accounting.cluster(), self.slot.addresses.first());
            observed.finish(outcome, place, &self.slot.locality);
        }
        self.permit = None;
        self.reporting = None;
        let slot = &*self.slot;
        if slot.accounting.counts_by_endpoint {
            slot.load.in_flight.fetch_sub(1, Ordering::Relaxed);
        }
        slot.accounting.load.of(self.priority).in_flight.leave();
        if stage != AttemptStage::Sent {
            return;
        }
        if let Some(started) = self.started
            && let Some(decay) = slot.accounting.latency_decay
        {
            self.punish_failure(started, decay, outcome);
        }
        if slot.reported.is_some() || slot.load.outcomes.is_on() {
            let result = self.result(outcome);
            slot.record(result);
            self.report(outcome, result);
        }
        self.read_load(outcome);
    }

    /// The outcome for outlier detection.
    fn result(&self, outcome: &Outcome<'_>) -> CallResult {
        match outcome {
            // LB-61
            Outcome::Response { status, last } => match (self.judge)(*status, last) {
                None => CallResult::Success,
                Some(kind) => CallResult::Failure(kind),
            },
            Outcome::Failed | Outcome::Overdue => CallResult::LocalOrigin,
            // Not the endpoint's failure: A50's successor PR 558, and Envoy PR 25488.
            Outcome::NotSent | Outcome::Cancelled => CallResult::Neutral,
        }
    }

    /// Counts the attempt for load reports.
    fn report(&self, outcome: &Outcome<'_>, result: CallResult) {
        let Some(counts) = &self.slot.reported else { return };
        let ending = match outcome {
            Outcome::NotSent => return counts.withdraw(),
            Outcome::Response { .. } if result == CallResult::Success => Ending::Success,
            Outcome::Response { .. } | Outcome::Failed | Outcome::Overdue | Outcome::Cancelled => {
                Ending::Failure
            }
        };
        counts.end(ending);
    }

    /// Lets a failure count as a slow call.
    fn punish_failure(&self, started: Moment, decay: Duration, outcome: &Outcome<'_>) {
        match self.result(outcome) {
            CallResult::Success | CallResult::Neutral | CallResult::Failure(FailureKind::Request) => {}
            CallResult::Failure(_) | CallResult::LocalOrigin => {
                let retry_after = match outcome {
                    Outcome::Response { last, .. } => wished_pause(last),
                    _ => None,
                };
                let now = now();
                self.slot.load.latency.observe_failure(now, now.since(started), retry_after, decay);
            }
        }
    }

    /// Reads the load that the endpoint has sent with its response, if its weight or load reports need it.
    fn read_load(&self, outcome: &Outcome<'_>) {
        let accounting = &self.slot.accounting;
        let (metrics, weights) = (accounting.reported_metrics(), accounting.weights.as_ref());
        if metrics.is_none() && weights.is_none() {
            return;
        }
        let Outcome::Response { last, .. } = outcome else { return };
        // OB-19
        let Some(payload) = Payload::from_headers(last) else { return };
        let Some(report) = OrcaReport::parse(payload.as_bytes()) else { return };
        // TR-71
        if let (Some(counts), Some(metrics)) = (&self.slot.reported, metrics) {
            counts.metrics.add(&report, metrics);
        }
        if let Some(weight) = weights.and_then(|settings| report.weight(settings)) {
            self.slot.load.weight.report(weight);
        }
    }

    /// The endpoint's counters, which identify it.
    pub(crate) fn endpoint(&self) -> &Arc<EndpointLoad> {
        &self.slot.load
    }

    /// The endpoint's addresses, the connected one first.
    pub(crate) fn addresses(&self) -> EndpointAddresses {
        self.slot.connected_addresses()
    }

    /// The endpoint's first address, for texts.
    pub(crate) fn address(&self) -> SocketAddr {
        self.slot.addresses.first()
    }

    /// The endpoint's host name; empty if it has none.
    pub(crate) fn hostname(&self) -> &Name {
        &self.slot.hostname
    }

    /// The cluster's name.
    pub(crate) fn cluster(&self) -> &Name {
        self.slot.accounting.cluster()
    }

    /// The cluster's name and the endpoint's first address, for texts.
    pub(crate) fn place_in_texts(&self) -> (Name, SocketAddr) {
        (self.cluster().clone(), self.address())
    }

    /// The limits and counts of the cluster.
    pub(crate) fn accounting(&self) -> &Arc<Accounting> {
        &self.slot.accounting
    }
}

impl<T> Drop for Attempt<T> {
    fn drop(&mut self) {
        self.finish(&Outcome::Cancelled);
    }
}

impl<T> fmt::Debug for Attempt<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Attempt").field("endpoint", &self.address()).field("stage", &self.stage).finish()
    }
}

fn now() -> Moment {
    Moment::of(tokio::time::Instant::now().into_std())
}

/// How long the endpoint wants to be left alone: `grpc-retry-pushback-ms`, or `retry-after` in seconds.
fn wished_pause(last: &HeaderMap) -> Option<Duration> {
    let number = |name: &str| last.get(name)?.to_str().ok()?.parse().ok();
    let pushback = number("grpc-retry-pushback-ms").map(Duration::from_millis);
    pushback.or_else(|| number("retry-after").map(Duration::from_secs))
}
