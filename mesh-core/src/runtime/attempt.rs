//! One attempt of a call, from its endpoint on.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use http::{HeaderMap, StatusCode};

use crate::config::Name;
use crate::policy::lb::EndpointLoad;
use crate::policy::load_report::Ending;
use crate::policy::load_report::orca::{OrcaReport, Payload};
use crate::policy::outlier::{CallResult, FailureKind};

use super::balance::Slot;
use super::circuit_breaker::ClusterLoad;
use super::load_report::Reporting;
use super::retry::RetryPermit;

/// One attempt of a call, from the choice of its endpoint until it has ended: its place in the cluster and at the
/// endpoint, and a share of the retry budget.
///
/// It ends exactly once, by [`finish`](Self::finish): whoever drops it before that has cancelled it.
pub(crate) struct Attempt<T> {
    slot: Arc<Slot<T>>,
    permit: Option<RetryPermit>,
    /// Until there is a response, the cluster is in use and its load is reported.
    reporting: Option<Arc<Reporting>>,
    judge: Judge,
    stage: Stage,
}

/// Tells by status and last headers how an attempt failed; `None`: it succeeded.
pub(crate) type Judge = fn(StatusCode, &HeaderMap) -> Option<FailureKind>;

/// How an attempt ended.
#[derive(Debug)]
pub(crate) enum Outcome<'a> {
    /// With a whole response. `last` are the headers that came last: the trailers, the head's where the response ends
    /// with its head, or none.
    Response { status: StatusCode, last: &'a HeaderMap },
    /// Nothing of it left this process, or the endpoint cannot have seen it.
    NotSent,
    /// The endpoint refused it, or the stream or the connection broke off.
    Failed,
    /// The call's deadline passed while the endpoint had it.
    Overdue,
    /// The caller gave it up.
    Cancelled,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// It has its places.
    Admitted,
    /// The connection has it.
    Sent,
    Finished,
}

impl<T> Attempt<T> {
    /// Takes an attempt's places at an endpoint. `None`: the cluster has as many calls in flight as it may.
    pub(crate) fn admit(slot: &Arc<Slot<T>>) -> Option<Self> {
        // LB-22, LB-24
        if !slot.accounting.load.in_flight.enter(slot.accounting.max_requests) {
            slot.accounting.drop_over_limit();
            return None;
        }
        slot.load.in_flight.fetch_add(1, Ordering::Relaxed);
        Some(Self {
            slot: slot.clone(),
            permit: None,
            reporting: None,
            judge: |_, _| None,
            stage: Stage::Admitted,
        })
    }

    /// The connection takes it now. Its share of the retry budget is held until it ends.
    pub(crate) fn on_sent(&mut self, permit: Option<RetryPermit>, judge: Judge) {
        self.permit = permit;
        self.judge = judge;
        self.stage = Stage::Sent;
        if let Some(counts) = &self.slot.reported {
            counts.start();
            self.reporting = self.slot.accounting.reporting();
        }
    }

    /// The response's head has come.
    pub(crate) fn on_head(&mut self) {
        self.reporting = None;
    }

    /// Gives everything back and tells all who observe attempts. Only the first call counts.
    pub(crate) fn finish(&mut self, outcome: &Outcome<'_>) {
        let stage = std::mem::replace(&mut self.stage, Stage::Finished);
        if stage == Stage::Finished {
            return;
        }
        self.permit = None;
        self.reporting = None;
        let slot = &*self.slot;
        slot.load.in_flight.fetch_sub(1, Ordering::Relaxed);
        slot.accounting.load.in_flight.leave();
        if stage == Stage::Sent && (slot.reported.is_some() || slot.load.outcomes.is_on()) {
            let result = self.result(outcome);
            slot.record(result);
            self.report(outcome, result);
        }
    }

    /// What the outcome says of the endpoint.
    fn result(&self, outcome: &Outcome<'_>) -> CallResult {
        match outcome {
            // LB-61
            Outcome::Response { status, last } => match (self.judge)(*status, last) {
                None => CallResult::Success,
                Some(kind) => CallResult::Failure(kind),
            },
            Outcome::Failed | Outcome::Overdue => CallResult::LocalOrigin,
            // Says nothing of the endpoint: A50's successor PR 558, and Envoy PR 25488.
            Outcome::NotSent | Outcome::Cancelled => CallResult::Neutral,
        }
    }

    /// Counts the attempt for load reports.
    fn report(&self, outcome: &Outcome<'_>, result: CallResult) {
        let Some(counts) = &self.slot.reported else { return };
        let ending = match outcome {
            Outcome::NotSent => return counts.withdraw(),
            Outcome::Response { last, .. } => {
                // OB-19, TR-71
                if let Some(metrics) = self.slot.accounting.reported_metrics()
                    && let Some(payload) = Payload::from_headers(last)
                    && let Some(report) = OrcaReport::parse(payload.as_bytes())
                {
                    counts.metrics.add(&report, metrics);
                }
                if result == CallResult::Success { Ending::Success } else { Ending::Failure }
            }
            Outcome::Failed | Outcome::Overdue | Outcome::Cancelled => Ending::Failure,
        };
        counts.end(ending);
    }

    /// What identifies the endpoint.
    pub(crate) fn endpoint(&self) -> &Arc<EndpointLoad> {
        &self.slot.load
    }

    /// The endpoint's first address, for texts.
    pub(crate) fn address(&self) -> SocketAddr {
        self.slot.addresses.first()
    }

    /// The cluster's name and the endpoint's first address, for texts.
    pub(crate) fn place_in_texts(&self) -> (Name, SocketAddr) {
        (self.slot.accounting.cluster().clone(), self.address())
    }

    /// The cluster's calls.
    pub(crate) fn load(&self) -> &Arc<ClusterLoad> {
        &self.slot.accounting.load
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
