//! What a call with a retry policy carries beside its request.

use std::sync::Arc;
use std::time::Duration;

use http::Request;
use rand::Rng;

use crate::config::RetryPolicy;
use crate::policy::retry::{Attempts, MaxAttempts, RetryBudget};
use crate::runtime::CallStatus;
use crate::runtime::circuit_breaker::ClusterLoad;
use crate::runtime::head_copy::HeadCopy;
use crate::sharded::Ref;

use super::replay::Replay;
use super::{ChannelReplay, ReplayRoom, RequestBody};

/// A call that may be tried again: its request, and what its policy still allows.
#[derive(Debug)]
pub(crate) struct CallRetry<B> {
    head: HeadCopy,
    body: Replay<B>,
    attempts: Attempts,
    budget: RetryBudget,
    permit: Option<RetryPermit>,
}

/// What limits retries besides the route's policy.
#[derive(Debug)]
pub(crate) struct RetryLimits {
    pub(crate) attempts: MaxAttempts,
    pub(crate) replay: Ref<ChannelReplay>,
    pub(crate) budget: RetryBudget,
}

impl<B> CallRetry<B> {
    /// The call, and the request for its first attempt, which has the original head.
    pub(crate) fn new(
        policy: Arc<RetryPolicy>,
        request: Request<B>,
        limits: RetryLimits,
    ) -> (Self, Option<Request<RequestBody<B>>>) {
        let (head, body) = request.into_parts();
        let retry = Self {
            head: HeadCopy::of(&head),
            body: Replay::new(body, ReplayRoom::in_channel(limits.replay)),
            attempts: Attempts::new(policy, limits.attempts),
            budget: limits.budget,
            permit: None,
        };
        let first = retry.body.attempt().map(|body| Request::from_parts(head, RequestBody::replay(body)));
        (retry, first)
    }

    /// The request for the next attempt; `None` once the call is committed.
    pub(crate) fn request(&self) -> Option<Request<RequestBody<B>>> {
        let body = RequestBody::replay(self.body.attempt()?);
        Some(Request::from_parts(self.head.to_parts(), body))
    }

    /// How many attempts came before the present one.
    pub(crate) fn previous_attempts(&self) -> u32 {
        self.attempts.previous()
    }

    /// An attempt has failed, and its guards are gone: the wait before the next one, if there is to be one.
    pub(crate) fn on_failure(
        &mut self,
        status: CallStatus,
        load: &Arc<ClusterLoad>,
        rng: &mut dyn Rng,
    ) -> Option<Duration> {
        self.permit = None;
        if self.body.is_committed() {
            return None;
        }
        let wait = self.attempts.on_failure(status.code, status.pushback, rng)?;
        self.permit = Some(RetryPermit::request(load, self.budget)?);
        Some(wait)
    }

    /// The next attempt is about to be sent: its share of the budget, to be kept until it ends.
    pub(crate) fn take_permit(&mut self) -> Option<RetryPermit> {
        let mut permit = self.permit.take();
        if let Some(permit) = &mut permit {
            permit.sent();
        }
        permit
    }

    /// The call has its response: nothing more is kept for another attempt (RT-43).
    pub(crate) fn commit(&self) {
        self.body.commit();
    }
}

/// A share of a cluster's retry budget: held from the decision to retry until the end of that attempt.
#[derive(Debug)]
pub(crate) struct RetryPermit {
    load: Arc<ClusterLoad>,
    sent: bool,
}

impl RetryPermit {
    /// `None`: too many of the cluster's calls are retries already.
    pub(crate) fn request(load: &Arc<ClusterLoad>, budget: RetryBudget) -> Option<Self> {
        load.start_retry(budget).then(|| Self { load: load.clone(), sent: false })
    }

    /// The wait is over and the retry is sent.
    pub(crate) fn sent(&mut self) {
        if !std::mem::replace(&mut self.sent, true) {
            self.load.send_retry();
        }
    }
}

impl Drop for RetryPermit {
    fn drop(&mut self) {
        self.sent();
        self.load.end_retry();
    }
}
