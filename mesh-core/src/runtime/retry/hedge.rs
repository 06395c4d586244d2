//! What a hedged call carries: attempts that run at the same time share its body, budget and number of attempts.

use std::sync::Arc;
use std::task::Context;
use std::time::Duration;

use http::Request;

use crate::policy::retry::{Failure, Pushback};
use crate::runtime::accounting::Accounting;

use super::{CallRetry, RequestBody, RetryPermit};

/// One of a call's attempts that run at the same time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Hedge {
    /// How many attempts came before it.
    // RT-44
    pub(crate) previous: u32,
    /// The number of its body among the readers of the call's.
    pub(crate) body: u32,
}

impl Hedge {
    /// The call's first attempt.
    pub(crate) const FIRST: Self = Self { previous: 0, body: 1 };
}

impl<B> CallRetry<B> {
    /// Whether attempts run at the same time.
    pub(crate) fn is_hedged(&self) -> bool {
        self.attempts.policy().hedging.is_some()
    }

    /// The policy's delay between attempts; `None`: there may be no further one.
    pub(crate) fn hedging_delay(&self) -> Option<Duration> {
        self.attempts.policy().hedging.filter(|_| self.attempts.has_more() && !self.body.is_committed())
    }

    /// A further attempt, its share of the budget, and its request; `None`: the limits do not allow it now.
    pub(crate) fn start_hedge(
        &mut self,
        cluster: &Arc<Accounting>,
    ) -> Option<(Hedge, RetryPermit, Request<RequestBody<B>>)> {
        if self.hedging_delay().is_none() || self.tokens.as_ref().is_some_and(|tokens| !tokens.allow_hedge())
        {
            return None;
        }
        let permit = RetryPermit::request(cluster, self.priority, self.budget)?;
        let (body, request) = self.request_again()?;
        let previous = self.attempts.start_hedge();
        Some((Hedge { previous, body }, permit, request))
    }

    /// The request once more, and the number of its body; `None` once the call is committed.
    pub(crate) fn request_again(&self) -> Option<(u32, Request<RequestBody<B>>)> {
        let body = self.body.attempt()?;
        let number = body.number();
        Some((number, Request::from_parts(self.head.to_parts(), RequestBody::replay(body))))
    }

    /// An attempt has failed: the wait before another one; `None`: the failure is the call's result.
    pub(crate) fn after_hedge(&mut self, failure: &Failure<'_>) -> Option<Duration> {
        let is_retried = failure.is_retried_by(self.attempts.policy());
        let has_tokens = !self.is_throttled(failure);
        let wait = match failure.pushback {
            Some(Pushback::Never) => None,
            Some(Pushback::After(wait)) => Some(wait),
            None => Some(Duration::ZERO),
        };
        if wait.is_none() || !has_tokens {
            // those that run may still succeed
            self.attempts.stop();
        }
        is_retried.then(|| wait.unwrap_or_default())
    }

    /// The attempt is about to be sent.
    pub(crate) fn lend(&mut self, hedge: Hedge, permit: Option<RetryPermit>) {
        (self.hedge, self.permit) = (Some(hedge), permit);
    }

    /// The only attempt that can go on, once the call is committed to one; wakes the caller's task when it is.
    pub(crate) fn committed_to(&self, cx: &mut Context<'_>) -> Option<u32> {
        self.body.committed_to(cx)
    }

    /// The attempt has the call's response.
    pub(crate) fn commit_to(&self, hedge: Hedge) {
        self.body.commit_to(hedge.body);
        if let Some(tokens) = &self.tokens {
            tokens.on_success();
        }
    }
}
