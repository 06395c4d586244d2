//! What follows a failed attempt: another attempt, or the call's error.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response};
use http_body::Body;
use tokio::time::Instant;

use crate::runtime::attempt::{Attempt, Outcome};
use crate::runtime::circuit_breaker::ClusterLoad;
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
        match P::classify_head(response.status(), response.headers()) {
            // RT-43: a response that ends with its head does not commit
            Some(status) => {
                self.may_have_been_seen = true;
                attempt.finish(&Outcome::Response { status: response.status(), last: response.headers() });
                self.after_failure(status, attempt)
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
        match error.kind() {
            SendErrorKind::NotSent | SendErrorKind::Malformed => attempt.finish(&Outcome::NotSent),
            SendErrorKind::Refused => attempt.finish(&Outcome::Failed),
            // a failure of the application, not of the endpoint
            SendErrorKind::Body | SendErrorKind::TooLarge => attempt.finish(&Outcome::Cancelled),
            SendErrorKind::Reset(_) | SendErrorKind::Closed => attempt.finish(&Outcome::Failed),
        }
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
                self.avoid = Some(attempt.endpoint().clone());
                self.unsent += 1;
                return Next::Attempt(if self.unsent > MAX_AT_ONCE { UNSENT_WAIT } else { Duration::ZERO });
            }
        }
        self.may_have_been_seen |= !matches!(
            error.kind(),
            SendErrorKind::NotSent | SendErrorKind::Refused | SendErrorKind::Malformed
        );
        let address = attempt.address();
        if self.deadline.is_some_and(|deadline| deadline <= Instant::now()) {
            // the endpoint may end the call at its deadline just before the client does; the reason is the same
            return Next::Fail(self.overdue(AT_ENDPOINT, Some(address)));
        }
        let is_final = error.kind() == SendErrorKind::TooLarge;
        let error = self.send_error(error).at(address);
        if is_final {
            // Another endpoint would end its connection for the same request, too.
            return Next::Fail(error);
        }
        let status = CallStatus { code: P::code(&error), pushback: None };
        match self.after_failure(status, &attempt) {
            Some(wait) => Next::Attempt(wait),
            None => Next::Fail(error),
        }
    }

    /// The step after a failed pick.
    pub(crate) fn after_refusal(&mut self, error: MeshError, load: &Arc<ClusterLoad>) -> Next {
        let status = CallStatus { code: P::code(&error), pushback: None };
        match self.next_wait(status, load) {
            Some(wait) => Next::Attempt(wait),
            None => Next::Fail(error),
        }
    }

    /// The wait before the next attempt after a failed one, if the policy allows another.
    fn after_failure(&mut self, status: CallStatus, attempt: &Attempt<C::Connection>) -> Option<Duration> {
        self.avoid = Some(attempt.endpoint().clone());
        self.next_wait(status, attempt.load())
    }

    fn next_wait(&mut self, status: CallStatus, load: &Arc<ClusterLoad>) -> Option<Duration> {
        let retry = self.retry.as_deref_mut()?;
        let randomness = &self.cluster.context.randomness;
        let wait = randomness.with(|rng| retry.on_failure(status, load, rng))?;
        self.request = Some(self.request.take().or_else(|| retry.request())?);
        Some(wait)
    }

    /// The error of an attempt whose deadline has passed.
    pub(crate) fn overrun(&mut self, overdue: Overdue<Overrun<C::Connection>>) -> MeshError {
        let Overdue(Some(Overrun { attempt, was_queued })) = overdue else {
            return self.overdue("while waiting for an endpoint", None);
        };
        let when =
            if was_queued { "while waiting for room on the endpoint's connection" } else { AT_ENDPOINT };
        self.may_have_been_seen |= !was_queued;
        self.overdue(when, Some(attempt.address()))
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

    fn send_error(&self, error: SendError) -> MeshError {
        let kind = match error.kind() {
            SendErrorKind::Body => MeshErrorKind::RequestBody,
            SendErrorKind::Malformed => MeshErrorKind::MalformedRequest,
            _ => MeshErrorKind::Connection,
        };
        let h2_code = error.h2_code();
        self.cluster.error(kind, "no response came").caused_by(h2_code, error)
    }
}

/// For errors: what a call that was sent waits for.
const AT_ENDPOINT: &str = "while waiting for the endpoint's answer";

/// Unsent attempts are repeated at once this often, then after a short wait.
const MAX_AT_ONCE: u32 = 3;

/// Long enough for a closed connection to leave its cluster's picker.
const UNSENT_WAIT: Duration = Duration::from_millis(10);
