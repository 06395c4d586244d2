//! What a call with a retry policy carries beside its request.

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::{HeaderMap, Request, StatusCode};
use rand::Rng;
use tokio::time::Instant;

use crate::config::{OtherEndpoints, RetryPolicy, RoutingPriority};
use crate::policy::lb::EndpointLoad;
use crate::policy::retry::{self, Attempts, Failure, MaxAttempts, Pushback, RetryBudget, RetryTokens};
use crate::runtime::accounting::Accounting;
use crate::runtime::head_copy::HeadCopy;
use crate::runtime::mirror::Tapped;
use crate::runtime::timeout::Timer;
use crate::sharded::Ref;

use super::replay::{Readers, Replay};
use super::{ChannelReplay, Hedge, ReplayRoom, RequestBody, RetryPermit};

/// A call that may be tried again: its request, and what its policy still allows.
#[derive(Debug)]
pub(crate) struct CallRetry<B> {
    pub(super) head: HeadCopy,
    pub(super) body: Replay<Tapped<B>>,
    pub(super) attempts: Attempts,
    pub(super) budget: RetryBudget,
    pub(super) priority: RoutingPriority,
    pub(super) permit: Option<RetryPermit>,
    pub(super) tokens: Option<Arc<RetryTokens>>,
    per_try: Option<PerTry>,
    /// The endpoints that have failed the call.
    tried: Vec<Arc<EndpointLoad>>,
    /// The hedged attempt that is about to be sent; `None`: the call is not hedged.
    pub(super) hedge: Option<Hedge>,
}

/// The timeout of each attempt, over its wait for an endpoint and until the head of its response.
// RT-53
#[derive(Debug)]
struct PerTry {
    timeout: Duration,
    /// When the present attempt is over; `None`: none has begun.
    deadline: Option<Instant>,
    timer: Timer,
}

/// What limits retries besides the route's policy.
#[derive(Debug)]
pub(crate) struct RetryLimits {
    pub(crate) attempts: MaxAttempts,
    pub(crate) replay: Ref<ChannelReplay>,
    pub(crate) budget: RetryBudget,
    /// Of the call.
    pub(crate) priority: RoutingPriority,
    /// Of the channel; `None`: it does not throttle retries.
    pub(crate) tokens: Option<Arc<RetryTokens>>,
}

impl<B> CallRetry<B> {
    /// The call, and the request for its first attempt, which has the original head.
    pub(crate) fn new(
        policy: Arc<RetryPolicy>,
        request: Request<Tapped<B>>,
        limits: RetryLimits,
        deadline: Option<Instant>,
    ) -> (Self, Option<Request<RequestBody<B>>>) {
        let (head, body) = request.into_parts();
        // RT-53: a timeout that is not shorter than the call's is none
        let remaining = || deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        let per_try = policy.per_try_timeout.filter(|timeout| remaining().is_none_or(|rest| *timeout < rest));
        let readers = if policy.hedging.is_some() { Readers::All } else { Readers::Latest };
        let retry = Self {
            head: HeadCopy::of(&head),
            body: Replay::new(body, ReplayRoom::in_channel(limits.replay), readers),
            attempts: Attempts::new(policy, limits.attempts),
            budget: limits.budget,
            priority: limits.priority,
            permit: None,
            tokens: limits.tokens,
            per_try: per_try.map(|timeout| PerTry { timeout, deadline: None, timer: Timer::default() }),
            tried: Vec::new(),
            hedge: None,
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
        self.hedge.map_or_else(|| self.attempts.previous(), |hedge| hedge.previous)
    }

    /// An attempt has failed, and its guards are gone: the wait before the next one, if there is to be one.
    pub(crate) fn on_failure(
        &mut self,
        failure: &Failure<'_>,
        cluster: &Arc<Accounting>,
        rng: &mut dyn Rng,
    ) -> Option<Duration> {
        self.permit = None;
        if let Some(per_try) = &mut self.per_try {
            (per_try.deadline, per_try.timer) = (None, Timer::default());
        }
        if self.body.is_committed() || self.is_throttled(failure) {
            return None;
        }
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let wait = self.attempts.on_failure(since_1970, failure, rng)?;
        self.permit = Some(RetryPermit::request(cluster, self.priority, self.budget)?);
        Some(wait)
    }

    /// RT-48: counts the failure against the channel's tokens.
    pub(super) fn is_throttled(&self, failure: &Failure<'_>) -> bool {
        let counts =
            failure.pushback == Some(Pushback::Never) || failure.is_retried_by(self.attempts.policy());
        self.tokens.as_ref().is_some_and(|tokens| counts && !tokens.on_failure())
    }

    /// Whether the head of a response alone leads to another attempt, although the protocol's own status is still to come.
    pub(crate) fn retries_head(&self, status: StatusCode, headers: &HeaderMap) -> bool {
        retry::meets(self.attempts.policy(), status, headers)
    }

    /// Ready when the present attempt has taken too long. The first poll of an attempt starts its time.
    pub(crate) fn poll_per_try(&mut self, cx: &mut Context<'_>) -> Poll<Duration> {
        let Some(PerTry { timeout, deadline, timer }) = &mut self.per_try else { return Poll::Pending };
        let at = *deadline.get_or_insert_with(|| Instant::now() + *timeout);
        timer.poll_passed(cx, Some(at)).map(|()| *timeout)
    }

    /// The endpoint has failed the call. Once all have, each may be tried again.
    pub(crate) fn on_tried(&mut self, endpoint: &Arc<EndpointLoad>) {
        if self.tried.iter().any(|tried| Arc::ptr_eq(tried, endpoint)) {
            self.tried.clear();
        }
        self.tried.push(endpoint.clone());
    }

    /// The endpoints that the next attempt avoids, if others are ready.
    pub(crate) fn tried(&self) -> &[Arc<EndpointLoad>] {
        &self.tried
    }

    /// How the next attempt looks for another endpoint.
    pub(crate) fn other_endpoints(&self) -> OtherEndpoints {
        self.attempts.policy().other_endpoints
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
        if let Some(tokens) = &self.tokens {
            tokens.on_success();
        }
    }
}
