//! One call and its attempts.

mod next_attempt;
mod race;

use std::sync::Arc;
use std::time::Duration;

use http::{Extensions, HeaderMap, Request, Response};
use tokio::time::Instant;

use crate::config::{OtherEndpoints, RetryPolicy, RoutingPriority};
use crate::filter::CallPath;
use crate::policy::lb::{EndpointLoad, PickContext};
use crate::policy::retry::Transparent;
use crate::sharded::Ref;

use super::attempt::{Attempt, Outcome};
use super::call_info::record_failure;
use super::circuit_breaker::PendingCall;
use super::connect::{Connect, Connection};
use super::flight::Flight;
use super::mirror::Tapped;
use super::observed::ObservedCall;
use super::protocol::{Protocol, Stamp};
use super::response_body::ResponseFilters;
use super::retry::{CallRetry, ChannelReplay, Hedge, RetryLimits};
use super::target::{Avoid, CallFeatures, Cluster, Picked, Routed};
use super::{CallInfo, CallStatus, MeshError, MeshErrorKind, ReplayRoom, RequestBody, WaitForReady};

pub(super) use next_attempt::Next;
pub(super) use race::{Race, Won};

/// A call that has been routed.
pub(super) struct Call<P: Protocol, C: Connect> {
    path: Ref<CallPath>,
    pub(super) cluster: Ref<Cluster<C>>,
    pub(super) deadline: Option<Instant>,
    pub(super) wait_for_ready: WaitForReady,
    hash: Option<u64>,
    /// Which limits of the cluster hold for it.
    priority: RoutingPriority,
    /// It waits for a connection or for room on one, and counts against a limit. `None` also without a limit.
    waiting: Option<Box<PendingCall>>,
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
    /// The filters that see the response, or that want an endpoint for the call; `None`: none.
    pub(super) filters: Option<Box<ResponseFilters>>,
    /// `None`: the route only sends calls to its cluster.
    features: Option<Box<CallFeatures<C>>>,
    /// `None`: it is not observed.
    observed: Option<Arc<ObservedCall>>,
}

/// Path, cluster, hash and priority of a call, the features of its route, and who observes it.
type RouteParts<C> = (
    Ref<CallPath>,
    Ref<Cluster<C>>,
    Option<u64>,
    RoutingPriority,
    Option<Box<CallFeatures<C>>>,
    Option<Arc<ObservedCall>>,
);

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
        (filters, observed): (Option<Box<ResponseFilters>>, Option<Arc<ObservedCall>>),
    ) -> Self {
        let policy = routed.retry.filter(|policy| may_be_retried::<P>(policy, request.headers()));
        let mut features = routed.features;
        let authority = &routed.cluster.context.target.authority;
        let taps = features.as_mut().and_then(|features| features.see(&request, authority));
        // each is built where it stays: a request is too large to be moved once more
        let route = (routed.path, routed.cluster, routed.hash, routed.priority, features, observed);
        match (policy, taps) {
            (None, None) => {
                let request = request.map(RequestBody::plain);
                Self::of(route, Some(request), deadline, wait_for_ready, None, Some(limits.replay), filters)
            }
            (None, Some(taps)) => {
                let request = request.map(|body| RequestBody::tapped(Tapped::new(body, taps)));
                Self::of(route, Some(request), deadline, wait_for_ready, None, Some(limits.replay), filters)
            }
            (Some(policy), taps) => {
                let request = request.map(|body| match taps {
                    None => body.into(),
                    Some(taps) => Tapped::new(body, taps),
                });
                let limits = RetryLimits { priority: routed.priority, ..limits };
                let (retry, request) = CallRetry::new(policy, request, limits, deadline);
                Self::of(route, request, deadline, wait_for_ready, Some(Box::new(retry)), None, filters)
            }
        }
    }

    #[inline(always)]
    fn of(
        (path, cluster, hash, priority, features, observed): RouteParts<C>,
        request: Option<Request<RequestBody<P::Body>>>,
        deadline: Option<Instant>,
        wait_for_ready: WaitForReady,
        retry: Option<Box<CallRetry<P::Body>>>,
        replay: Option<Ref<ChannelReplay>>,
        filters: Option<Box<ResponseFilters>>,
    ) -> Self {
        Self {
            path,
            cluster,
            deadline,
            wait_for_ready,
            hash,
            priority,
            waiting: None,
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
            features,
            observed,
        }
    }

    /// Whether the route's policy may lead to another attempt.
    #[inline(always)]
    pub(super) fn is_retried(&self) -> bool {
        self.retry.is_some()
    }

    /// Whether attempts run at the same time.
    pub(super) fn is_hedged(&self) -> bool {
        self.retry.as_deref().is_some_and(CallRetry::is_hedged)
    }

    /// The status of a hedged attempt's response that may not be the call's; `None`: it is.
    fn hedge_status<T>(&self, response: &Response<T>) -> Option<CallStatus> {
        let (status, headers) = (response.status(), response.headers());
        let retry = self.retry.as_deref()?;
        let meets = || retry.retries_head(status, headers).then(|| CallStatus::new(0, None));
        P::classify_head(status, headers).or_else(meets)
    }

    /// A hedged attempt has the call's response.
    fn commit_to(&self, hedge: Hedge) {
        if let Some(retry) = &self.retry {
            retry.commit_to(hedge);
        }
    }

    /// Picks an endpoint for the next attempt.
    pub(super) fn pick(&mut self) -> Picked<C::Connection> {
        let Some(request) = &self.request else {
            let error = self.cluster.error(MeshErrorKind::Connection, "the request is gone");
            return Picked::Failed(error.into());
        };
        if let Some(observed) = &self.observed {
            observed.pick(self.is_hedged());
        }
        let mut context = PickContext {
            path: request.uri().path(),
            headers: request.headers(),
            hash: self.hash,
            priority: self.priority,
        };
        let preferred = self.filters.as_deref().and_then(ResponseFilters::preferred);
        let avoid = match &self.retry {
            None => Avoid { endpoints: self.avoid.as_slice(), how: OtherEndpoints::Prefer, preferred },
            Some(retry) => Avoid { endpoints: retry.tried(), how: retry.other_endpoints(), preferred },
        };
        let randomness = &self.cluster.context.randomness;
        let picked = randomness.with(|rng| self.cluster.pick(&mut context, avoid, rng));
        self.hash = context.hash;
        picked
    }

    /// LB-27: it begins to wait for a connection or for room on one, unless it does already. Fails if too many wait.
    #[cold]
    pub(super) fn start_waiting(&mut self) -> Result<(), MeshError> {
        if self.waiting.is_none() {
            self.waiting = self.cluster.start_waiting(self.priority)?;
        }
        Ok(())
    }

    /// It does not wait for a connection any more.
    pub(super) fn end_waiting(&mut self) {
        self.waiting = None;
    }

    /// Sends the next attempt. The rest of the call's timeout is written into its head at this moment.
    #[inline(always)]
    pub(super) fn send(
        &mut self,
        mut attempt: Attempt<C::Connection>,
        place: <C::Connection as Connection>::Place,
    ) -> Result<CallFlight<P, C>, MeshError> {
        self.end_waiting();
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
        // changed where it is, and moved once
        let Some(request) = &mut self.request else {
            return Err(self.cluster.error(MeshErrorKind::Connection, "the request is gone"));
        };
        let retry = self.retry.as_deref_mut();
        let previous_attempts = retry.as_ref().map_or(0, |retry| retry.previous_attempts());
        let wire = C::Connection::wire(&place);
        P::stamp(request.headers_mut(), Stamp { previous_attempts, remaining, wire });
        if let Some(features) = &mut self.features {
            features.on_attempt(request, attempt.hostname(), &self.cluster.context.target.authority);
        }
        let permit = retry.and_then(CallRetry::take_permit);
        if !request.extensions().is_empty() {
            self.extensions = std::mem::take(request.extensions_mut());
        }
        attempt.on_sent(permit, P::failure);
        self.attempts += 1;
        if self.observed.is_some() {
            self.observe_sending(&mut attempt);
        }
        let room = self.replay.clone().map(ReplayRoom::in_channel).unwrap_or_default();
        match self.request.take() {
            Some(request) => {
                Ok(Flight::Sending { response: C::Connection::send(place, request, room), attempt })
            }
            None => Err(self.cluster.error(MeshErrorKind::Connection, "the request is gone")),
        }
    }

    #[inline(never)]
    fn observe_sending(&mut self, attempt: &mut Attempt<C::Connection>) {
        let Some(observed) = &self.observed else { return };
        let is_hedged = self.retry.as_deref().is_some_and(CallRetry::is_hedged);
        attempt.observe(observed.send::<P>(&mut self.request, is_hedged));
    }

    /// The caller gets this response of the attempt: returns where the call went, and logs it.
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

    /// Logs that the call fails with this error, and tells its observers.
    pub(super) fn fail(&self, error: &MeshError) {
        if let Some(observed) = &self.observed {
            observed.end(P::code(error));
        }
        let (route, attempts) = (&self.path.route, self.attempts);
        tracing::debug!(%route, attempts, %error, "call failed");
        record_failure(route, error, attempts);
    }
}

/// RT-57: whether a request has one of the headers that the policy wants.
#[inline(always)]
fn may_be_retried<P: Protocol>(policy: &RetryPolicy, headers: &HeaderMap) -> bool {
    let wanted = &policy.request_headers;
    wanted.is_empty() || wanted.iter().any(|header| header.matches(P::view(headers)))
}
