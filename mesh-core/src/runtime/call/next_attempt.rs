//! What follows a failed attempt: another attempt, or the call's error.

use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::{Request, Response};
use http_body::Body;
use tokio::time::Instant;

use crate::policy::retry::{Cause, Failure};
use crate::runtime::accounting::Accounting;
use crate::runtime::attempt::{Attempt, Outcome};
use crate::runtime::connect::{Connect, SendError, SendErrorKind, SendFailure, UnreadRequest};
use crate::runtime::flight::Overrun;
use crate::runtime::protocol::{CallStatus, Protocol};
use crate::runtime::timeout::Overdue;
use crate::runtime::{MeshError, MeshErrorKind, RequestBody};

use super::Call;

/// The step after a failed attempt.
pub(crate) enum Next {
    /// Another attempt, after this wait.
    Attempt(Duration),
    /// The call fails with this error.
    Fail(MeshError),
}

impl<P: Protocol, C: Connect> Call<P, C> {
    /// The wait before another attempt, if this head leads to one; `None`: the caller gets the response.
    pub(crate) fn after_head<T: Body>(
        &mut self,
        response: &Response<T>,
        attempt: &mut Attempt<C::Connection>,
    ) -> Option<Duration> {
        let retry = self.retry.as_deref()?;
        let (status, headers) = (response.status(), response.headers());
        let meets = || retry.retries_head(status, headers).then(|| CallStatus::new(0, None));
        match P::classify_head(status, headers).or_else(meets) {
            // RT-43: a response that ends with its head does not commit
            Some(CallStatus { code, pushback }) => {
                self.may_have_been_seen = true;
                attempt.finish(&Outcome::Response { status, last: headers });
                let failure = Failure { code, pushback, cause: Cause::Response { status, headers } };
                self.after_failure(&failure, attempt)
            }
            None => {
                retry.commit();
                None
            }
        }
    }

    /// The step after an attempt without a response.
    pub(crate) fn after_send_failure(
        &mut self,
        failure: SendFailure<RequestBody<P::Body>>,
        mut attempt: Attempt<C::Connection>,
    ) -> Next {
        let SendFailure { error, unread } = failure;
        let repeatable = match error.kind() {
            SendErrorKind::NotSent => self.transparent.on_unsent(),
            SendErrorKind::Refused => self.transparent.on_refused(),
            _ => false,
        };
        attempt.on_error(mesh_kind(error.kind()), error.h2_code());
        attempt.finish(&outcome_of(error.kind()));
        if repeatable {
            // RT-45
            self.request = match &self.retry {
                Some(retry) => retry.request(),
                None => unread.and_then(|unread| {
                    let UnreadRequest { head, body } = *unread;
                    Some(Request::from_parts(head?, RequestBody::unread(body)))
                }),
            };
            if self.request.is_some() {
                self.avoid_endpoint_of(&attempt);
                self.unsent += 1;
                self.observe_repetition();
                return Next::Attempt(if self.unsent > MAX_AT_ONCE { UNSENT_WAIT } else { Duration::ZERO });
            }
        }
        self.may_have_been_seen |= may_have_been_seen(error.kind());
        let address = attempt.address();
        if self.deadline.is_some_and(|deadline| deadline <= Instant::now()) {
            // the endpoint may end the call at its deadline just before the client does; the reason is the same
            return Next::Fail(self.overdue(AT_ENDPOINT, Some(address)));
        }
        let is_final = error.kind() == SendErrorKind::TooLarge;
        let cause = cause_of(error.kind());
        let error = self.send_error(error).at(address);
        if is_final {
            // Another endpoint would end its connection for the same request, too.
            return Next::Fail(error);
        }
        let failure = Failure { code: P::code(&error), pushback: None, cause };
        match self.after_failure(&failure, &attempt) {
            Some(wait) => Next::Attempt(wait),
            None => Next::Fail(error),
        }
    }

    /// The step after a failed pick.
    pub(crate) fn after_refusal(&mut self, error: MeshError, cluster: &Arc<Accounting>) -> Next {
        let failure = Failure { code: P::code(&error), pushback: None, cause: Cause::Unreachable };
        self.observe_refusal(failure.code);
        match self.next_wait(&failure, cluster) {
            Some(wait) => Next::Attempt(wait),
            None => Next::Fail(error),
        }
    }

    /// Ready when the present attempt has taken as long as the route's policy allows.
    pub(crate) fn poll_per_try(&mut self, cx: &mut Context<'_>) -> Poll<Duration> {
        match self.retry.as_deref_mut() {
            Some(retry) => retry.poll_per_try(cx),
            None => Poll::Pending,
        }
    }

    /// The step after an attempt that has taken too long; `None`: it had no endpoint.
    pub(crate) fn after_per_try_timeout(
        &mut self,
        timeout: Duration,
        overrun: Option<Overrun<C::Connection>>,
    ) -> Next {
        let Some(Overrun { attempt, was_queued }) = overrun else {
            let error = self.per_try_error(timeout, FOR_ENDPOINT);
            let Some(cluster) = self.cluster.accounting() else { return Next::Fail(error) };
            let failure = Failure { code: P::code(&error), pushback: None, cause: Cause::PerTryTimeout };
            self.observe_refusal(failure.code);
            return match self.next_wait(&failure, &cluster) {
                Some(wait) => Next::Attempt(wait),
                None => Next::Fail(error),
            };
        };
        self.may_have_been_seen |= !was_queued;
        let error = self.per_try_error(timeout, waiting(was_queued)).at(attempt.address());
        let failure = Failure { code: P::code(&error), pushback: None, cause: Cause::PerTryTimeout };
        if was_queued {
            self.observe_refusal(failure.code);
        }
        match self.after_failure(&failure, &attempt) {
            Some(wait) => Next::Attempt(wait),
            None => Next::Fail(error),
        }
    }

    /// An attempt ends without an endpoint.
    fn observe_refusal(&self, code: u32) {
        if let Some(observed) = &self.observed {
            observed.refuse(code);
        }
    }

    /// The next attempt repeats one that was not processed.
    pub(super) fn observe_repetition(&self) {
        if let Some(observed) = &self.observed {
            observed.repeat_transparently();
        }
    }

    fn per_try_error(&self, timeout: Duration, when: &str) -> MeshError {
        let reason = format!("the timeout of {timeout:?} for one attempt passed {when}");
        self.cluster.error(MeshErrorKind::DeadlineExceeded, reason)
    }

    /// The wait before the next attempt after a failed one, if the policy allows another.
    fn after_failure(&mut self, failure: &Failure<'_>, attempt: &Attempt<C::Connection>) -> Option<Duration> {
        self.avoid_endpoint_of(attempt);
        self.next_wait(failure, attempt.accounting())
    }

    /// The next attempt takes another endpoint, if one is ready.
    pub(super) fn avoid_endpoint_of(&mut self, attempt: &Attempt<C::Connection>) {
        match self.retry.as_deref_mut() {
            Some(retry) => retry.on_tried(attempt.endpoint()),
            None => self.avoid = Some(attempt.endpoint().clone()),
        }
    }

    fn next_wait(&mut self, failure: &Failure<'_>, cluster: &Arc<Accounting>) -> Option<Duration> {
        let retry = self.retry.as_deref_mut()?;
        let randomness = &self.cluster.context.randomness;
        let wait = randomness.with(|rng| retry.on_failure(failure, cluster, rng))?;
        self.request = Some(self.request.take().or_else(|| retry.request())?);
        Some(wait)
    }

    /// The error of an attempt whose deadline has passed.
    pub(crate) fn overrun(&mut self, overdue: Overdue<Overrun<C::Connection>>) -> MeshError {
        let Overdue(Some(Overrun { attempt, was_queued })) = overdue else {
            return self.overdue(FOR_ENDPOINT, None);
        };
        self.may_have_been_seen |= !was_queued;
        self.overdue(waiting(was_queued), Some(attempt.address()))
    }

    /// The error of a call whose deadline has passed; `when` describes what it waited for, `endpoint` where, if it had one.
    pub(crate) fn overdue(&self, when: &str, endpoint: Option<SocketAddr>) -> MeshError {
        let reason = match self.cluster.last_endpoint_error() {
            Some(last) => format!("deadline exceeded {when}; {last}"),
            None => format!("deadline exceeded {when}"),
        };
        let error = self.cluster.error(MeshErrorKind::DeadlineExceeded, reason);
        match endpoint {
            Some(endpoint) => error.at(endpoint),
            None => error,
        }
    }

    pub(super) fn send_error(&self, error: SendError) -> MeshError {
        let kind = mesh_kind(error.kind());
        let h2_code = error.h2_code();
        self.cluster.error(kind, "no response came").caused_by(h2_code, error)
    }
}

/// The kind of a call's error for a failure without a response.
pub(super) fn mesh_kind(kind: SendErrorKind) -> MeshErrorKind {
    match kind {
        SendErrorKind::Body => MeshErrorKind::RequestBody,
        SendErrorKind::Malformed => MeshErrorKind::MalformedRequest,
        _ => MeshErrorKind::Connection,
    }
}

/// How an attempt has ended that failed without a response.
pub(super) fn outcome_of(kind: SendErrorKind) -> Outcome<'static> {
    match kind {
        SendErrorKind::NotSent | SendErrorKind::Malformed => Outcome::NotSent,
        // a failure of the application, not of the endpoint
        SendErrorKind::Body | SendErrorKind::TooLarge => Outcome::Cancelled,
        SendErrorKind::Refused | SendErrorKind::Reset(_) | SendErrorKind::Closed => Outcome::Failed,
    }
}

/// What retry policies see of a failure without a response.
pub(super) fn cause_of(kind: SendErrorKind) -> Cause<'static> {
    match kind {
        SendErrorKind::NotSent => Cause::Unreachable,
        SendErrorKind::Refused => Cause::Refused,
        SendErrorKind::Reset(_) | SendErrorKind::Closed => Cause::Reset,
        SendErrorKind::Body | SendErrorKind::TooLarge | SendErrorKind::Malformed => Cause::Local,
    }
}

pub(super) fn may_have_been_seen(kind: SendErrorKind) -> bool {
    !matches!(kind, SendErrorKind::NotSent | SendErrorKind::Refused | SendErrorKind::Malformed)
}

/// For errors: what a call with an endpoint waits for.
fn waiting(is_queued: bool) -> &'static str {
    if is_queued { "while waiting for room on the endpoint's connection" } else { AT_ENDPOINT }
}

/// For errors: what a call without an endpoint waits for.
const FOR_ENDPOINT: &str = "while waiting for an endpoint";

/// For errors: what a call that was sent waits for.
const AT_ENDPOINT: &str = "while waiting for the endpoint's answer";

/// Unsent attempts are repeated at once this often, then after a short wait.
const MAX_AT_ONCE: u32 = 3;

/// Long enough for a closed connection to leave its cluster's picker.
const UNSENT_WAIT: Duration = Duration::from_millis(10);
