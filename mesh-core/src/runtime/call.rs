//! One call: its attempts, and whether a failure leads to another one.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::{Extensions, Request, Response};
use http_body::Body;
use tokio::time::Instant;

use crate::filter::CallPath;
use crate::policy::lb::{EndpointLoad, PickContext};
use crate::policy::retry::Transparent;
use crate::sharded::Ref;

use super::attempt::{Attempt, Outcome};
use super::call_info::record_failure;
use super::circuit_breaker::ClusterLoad;
use super::connect::{Connect, Connection, SendError, SendErrorKind, SendFailure, UnreadRequest};
use super::flight::{Flight, Overrun};
use super::protocol::{CallStatus, Protocol, Stamp};
use super::response_body::ResponseFilters;
use super::retry::{CallRetry, ChannelReplay, RetryLimits};
use super::target::{Cluster, Picked, Routed};
use super::timeout::Overdue;
use super::{CallInfo, MeshError, MeshErrorKind, ReplayRoom, RequestBody, WaitForReady};

/// A call that has been routed.
pub(super) struct Call<P: Protocol, C: Connect> {
    path: Ref<CallPath>,
    pub(super) cluster: Ref<Cluster<C>>,
    pub(super) deadline: Option<Instant>,
    pub(super) wait_for_ready: WaitForReady,
    hash: Option<u64>,
    /// The request for the next attempt; `None` while one runs.
    request: Option<Request<RequestBody<P::Body>>>,
    /// The request's extensions.
    extensions: Extensions,
    /// Set if the route has a retry policy.
    retry: Option<Box<CallRetry<P::Body>>>,
    /// Limits the bytes of the request that connections keep, unless `retry` keeps them.
    replay: Option<Ref<ChannelReplay>>,
    transparent: Transparent,
    /// The number of attempts that ended unsent.
    unsent: u32,
    /// The endpoint of the attempt that has just failed.
    avoid: Option<Arc<EndpointLoad>>,
    /// The number of attempts that were sent.
    attempts: u32,
    /// An attempt may have reached an endpoint.
    pub(super) may_have_been_seen: bool,
    /// The filters that see the response; `None`: none.
    pub(super) filters: Option<Box<ResponseFilters>>,
}

/// The step after a failed attempt.
pub(super) enum Next {
    /// Another attempt, after this wait.
    Attempt(Duration),
    /// The call fails with this error.
    Fail(MeshError),
}

/// The in-flight part of a call.
pub(super) type CallFlight<P, C> = Flight<<C as Connect>::Connection, RequestBody<<P as Protocol>::Body>>;

impl<P: Protocol, C: Connect> Call<P, C> {
    #[inline(always)]
    pub(super) fn new(
        routed: Routed<C>,
        request: Request<P::Body>,
        deadline: Option<Instant>,
        wait_for_ready: WaitForReady,
        limits: RetryLimits,
        filters: Option<Box<ResponseFilters>>,
    ) -> Self {
        let (request, retry, replay) = match routed.retry {
            None => (Some(request.map(RequestBody::plain)), None, Some(limits.replay)),
            Some(policy) => {
                let (retry, request) = CallRetry::new(policy, request, limits);
                (request, Some(Box::new(retry)), None)
            }
        };
        Self {
            path: routed.path,
            cluster: routed.cluster,
            deadline,
            wait_for_ready,
            hash: routed.hash,
            request,
            extensions: Extensions::new(),
            retry,
            replay,
            transparent: Transparent::default(),
            unsent: 0,
            avoid: None,
            attempts: 0,
            may_have_been_seen: false,
            filters,
        }
    }

    /// Picks an endpoint for the next attempt.
    pub(super) fn pick(&self) -> Picked<C::Connection> {
        let Some(request) = &self.request else {
            let error = self.cluster.error(MeshErrorKind::Connection, "the request is gone");
            return Picked::Failed(error.into());
        };
        let context = PickContext { path: request.uri().path(), headers: request.headers(), hash: self.hash };
        let randomness = &self.cluster.context.randomness;
        randomness.with(|rng| self.cluster.pick(&context, self.avoid.as_ref(), rng))
    }

    /// Sends the next attempt. The rest of the call's timeout is written into its head at this moment.
    #[inline(always)]
    pub(super) fn send(
        &mut self,
        mut attempt: Attempt<C::Connection>,
        place: <C::Connection as Connection>::Place,
    ) -> Result<CallFlight<P, C>, MeshError> {
        let remaining = match self.deadline {
            None => None,
            Some(deadline) => match deadline.saturating_duration_since(Instant::now()) {
                Duration::ZERO => {
                    attempt.finish(&Outcome::NotSent);
                    return Err(self.overdue("before it was sent", Some(attempt.address())));
                }
                remaining => Some(remaining),
            },
        };
        let Some(mut request) = self.request.take() else {
            return Err(self.cluster.error(MeshErrorKind::Connection, "the request is gone"));
        };
        let retry = self.retry.as_deref_mut();
        let previous_attempts = retry.as_ref().map_or(0, |retry| retry.previous_attempts());
        P::stamp(request.headers_mut(), Stamp { previous_attempts, remaining });
        let permit = retry.and_then(CallRetry::take_permit);
        if !request.extensions().is_empty() {
            self.extensions = std::mem::take(request.extensions_mut());
        }
        attempt.on_sent(permit, P::failure);
        self.attempts += 1;
        let room = self.replay.clone().map(ReplayRoom::in_channel).unwrap_or_default();
        Ok(Flight::Sending { response: C::Connection::send(place, request, room), attempt })
    }

    /// The caller gets this response of the attempt: says where the call went, in the log too.
    ///
    /// The request's extensions become the response's, emptied: a face that has something to put there finds room.
    pub(super) fn succeed<T>(
        &mut self,
        attempt: &Attempt<C::Connection>,
        response: &mut Response<T>,
    ) -> CallInfo {
        let info = CallInfo::new(self.path.clone(), attempt.cluster(), attempt.address(), self.attempts);
        let (route, cluster) = (info.route(), info.cluster());
        let (endpoint, attempts) = (info.endpoint(), info.attempts());
        tracing::debug!(%route, %cluster, %endpoint, attempts, status = %response.status(), "response");
        info.record();
        let extensions = response.extensions_mut();
        if extensions.is_empty() {
            *extensions = std::mem::take(&mut self.extensions);
            extensions.clear();
        }
        info
    }

    /// Logs that the call fails with this error.
    pub(super) fn fail(&self, error: &MeshError) {
        let (route, attempts) = (&self.path.route, self.attempts);
        tracing::debug!(%route, attempts, %error, "call failed");
        record_failure(route, error, attempts);
    }

    /// The wait before another attempt, if this head leads to one; `None`: the caller gets the response.
    pub(super) fn after_head<T: Body>(
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
    pub(super) fn after_send_failure(
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

    /// The error of an attempt whose deadline has passed.
    pub(super) fn overrun(&mut self, overdue: Overdue<Overrun<C::Connection>>) -> MeshError {
        let Overdue(Some(Overrun { attempt, was_queued })) = overdue else {
            return self.overdue("while waiting for an endpoint", None);
        };
        let when =
            if was_queued { "while waiting for room on the endpoint's connection" } else { AT_ENDPOINT };
        self.may_have_been_seen |= !was_queued;
        self.overdue(when, Some(attempt.address()))
    }

    /// The step after a failed pick.
    pub(super) fn after_refusal(&mut self, error: MeshError, load: &Arc<ClusterLoad>) -> Next {
        let status = CallStatus { code: P::code(&error), pushback: None };
        match self.next_wait(status, load) {
            Some(wait) => Next::Attempt(wait),
            None => Next::Fail(error),
        }
    }

    /// The error of a call whose deadline has passed; `when` says what it waited for, at which endpoint if it had one.
    pub(super) fn overdue(&self, when: &str, endpoint: Option<SocketAddr>) -> MeshError {
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
