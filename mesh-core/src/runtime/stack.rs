//! The request path: every step, in order.
//!
//! ```text
//!  call   1 load the target's snapshot; none yet: wait for it
//!         2 match virtual host, route and cluster, run the route's filters on the request, and rewrite it
//!  poll   3 pick an endpoint; none yet: wait for one
//!         4 circuit breaker
//!         5 no room on the endpoint's connection: wait for some
//!         6 send, and wait for the response's head
//!           failed: transparent retry, or one by the route's policy, from 3
//!         7 run the filters on the head and return it to the caller; the call stays in flight until the body ends
//! ```
//!
//! All steps run on the caller's task, without a queue or a lock, and without a box unless the call waits for something
//! other than an endpoint, has a deadline, or its route has a retry policy; the connection then keeps the call in one box.
//! The deadline covers all steps from the start of the call; from step 4 on it fires even if the call is not polled.
//!
//! Functions that pass a call on are inlined by force, here and in the next modules: a call has some hundred bytes, and each step that
//! is not inlined copies them.

use std::fmt;
use std::future::Future;
use std::ops::ControlFlow;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use http::{Request, Response};
use pin_project_lite::pin_project;
use tokio::time::Instant;

use crate::config::RoutingPriority;
use crate::policy::route::RequestHead;

use super::attempt::Attempt;
use super::begin::{Begin, Draft, Filtered};
use super::call::{Call, Won};
use super::channel::ChannelInner;
use super::connect::{Connect, Connection, Http2Connector};
use super::flight::{Landed, TimedFlight};
use super::observed::ObservedCall;
use super::retry::RetryLimits;
use super::stage::{Stage, StageProjection};
use super::target::{RouteInput, Routed, Snapshot, TargetState};
use super::timeout::Timer;
use super::{
    CallOptions, Channel, MeshError, MeshErrorKind, Protocol, RequestBody, ResponseBody, WaitForReady,
};

/// The response of a call over connections of `C`.
pub type ChannelResponse<P, C = Http2Connector> = Response<ResponseBody<P, C>>;

impl<P: Protocol, C: Connect> Channel<P, C> {
    /// Sends a request. Its URI is what goes on the wire; the route is chosen by the target's authority.
    pub fn call(&self, request: Request<P::Body>, options: CallOptions) -> ResponseFuture<P, C> {
        let channel = &self.0;
        let observed = channel.observer.as_ref().and_then(|observer| observer.call::<P>(&request));
        let settings = &channel.settings;
        let start = Start {
            wait_for_ready: options.wait_for_ready.unwrap_or(settings.wait_for_ready),
            timeout: options.timeout.or(settings.timeout),
        };
        match &**channel.target.state() {
            TargetState::Serving(snapshot) => match channel.route::<P>(snapshot, &request, start) {
                // built where it stays, unlike a call that filters may hold
                Ok(routed) if routed.is_plain() => {
                    let (deadline, limits) = (deadline(routed.timeout, None), channel.limits());
                    let call =
                        Call::new(routed, request, deadline, start.wait_for_ready, limits, (None, observed));
                    ResponseFuture::of_call(call, deadline)
                }
                Ok(routed) => ResponseFuture::of(channel.begin(routed, request, start, (None, observed))),
                Err(error) => ResponseFuture::failed(error, observed),
            },
            state @ (TargetState::Pending | TargetState::Failed(_)) => {
                if let Some(error) = channel.target.failure(state, start.wait_for_ready) {
                    return ResponseFuture::failed(error, observed);
                }
                let now = Instant::now();
                let context = channel.target.context().clone();
                let configured = Box::pin(channel.clone().configure(request, start, (now, observed.clone())));
                ResponseFuture::at(
                    Stage::begin(Begin::Configure(configured, context, observed)),
                    deadline(start.timeout, Some(now)),
                )
            }
        }
    }
}

/// The settings of a call that is not routed yet.
#[derive(Debug, Clone, Copy)]
struct Start {
    wait_for_ready: WaitForReady,
    timeout: Option<Duration>,
}

impl<C: Connect> ChannelInner<C> {
    async fn configure<P: Protocol>(
        self: Arc<Self>,
        request: Request<P::Body>,
        start: Start,
        (began, observed): (Instant, Option<Arc<ObservedCall>>),
    ) -> Result<Filtered<P, C>, MeshError> {
        loop {
            let state = self.target.configured(start.wait_for_ready).await?;
            if let TargetState::Serving(snapshot) = &*state {
                if let Some(observed) = &observed {
                    observed.configuration_delayed();
                }
                let routed = self.route::<P>(snapshot, &request, start)?;
                return Ok(self.begin(routed, request, start, (Some(began), observed)));
            }
        }
    }

    /// Routes the call. RT-23: once per call.
    fn route<P: Protocol>(
        &self,
        snapshot: &Snapshot<C>,
        request: &Request<P::Body>,
        start: Start,
    ) -> Result<Routed<C>, MeshError> {
        let context = self.target.context();
        let head = RequestHead::new(&context.target.authority, request.uri(), P::view(request.headers()));
        let input = RouteInput { timeout: start.timeout, channel_id: self.id };
        context.randomness.with(|rng| snapshot.route(&head, input, context, rng))
    }

    #[inline(always)]
    fn begin<P: Protocol>(
        &self,
        mut routed: Routed<C>,
        request: Request<P::Body>,
        start: Start,
        (began, observed): (Option<Instant>, Option<Arc<ObservedCall>>),
    ) -> Filtered<P, C> {
        // RT-35
        let deadline = deadline(routed.timeout, began);
        if let Some(features) = &mut routed.features {
            features.prepare_mirrors::<P>(&routed.cluster.context, routed.hash, deadline);
        }
        let (wait_for_ready, limits) = (start.wait_for_ready, self.limits());
        Draft { routed, request, deadline, wait_for_ready, limits, observed }.filter()
    }

    #[inline(always)]
    fn limits(&self) -> RetryLimits {
        RetryLimits {
            attempts: self.settings.max_attempts,
            replay: self.replay.own(),
            budget: self.budget,
            priority: RoutingPriority::Default,
            tokens: self.tokens.clone(),
        }
    }
}

/// The deadline of a timeout; `None` also for one beyond the clock's range. The clock is read only if there is a timeout.
fn deadline(timeout: Option<Duration>, began: Option<Instant>) -> Option<Instant> {
    let timeout = timeout?;
    began.unwrap_or_else(Instant::now).checked_add(timeout)
}

pin_project! {
    /// Resolves to the response's head of a call. Dropping it cancels the call.
    pub struct ResponseFuture<P: Protocol, C: Connect = Http2Connector> {
        call: Option<Call<P, C>>,
        deadline: Option<Instant>,
        #[pin]
        stage: Stage<P, C>,
        timer: Timer,
    }
}

impl<P: Protocol, C: Connect> ResponseFuture<P, C> {
    #[inline(always)]
    fn of(filtered: Filtered<P, C>) -> Self {
        let deadline = filtered.deadline();
        match filtered {
            Filtered::Passed(call) => Self::of_call(call, deadline),
            Filtered::Held(held) => Self::at(Stage::begin(Begin::Hold(Some(held))), deadline),
            Filtered::Replied(reply) => Self::at(Stage::begin(Begin::Replied(Some(reply))), deadline),
            Filtered::Failed(error) => Self::at(Stage::Failed { error: Some(error) }, None),
        }
    }

    /// A call that has passed its filters.
    #[inline(always)]
    pub(super) fn of_call(call: Call<P, C>, deadline: Option<Instant>) -> Self {
        Self { call: Some(call), deadline, stage: Stage::Pick, timer: Timer::default() }
    }

    #[inline(always)]
    fn at(stage: Stage<P, C>, deadline: Option<Instant>) -> Self {
        Self { call: None, deadline, stage, timer: Timer::default() }
    }

    /// A call that fails at its start.
    fn failed(error: MeshError, observed: Option<Arc<ObservedCall>>) -> Self {
        if let Some(observed) = observed {
            observed.end(P::code(&error));
        }
        Self::at(Stage::Failed { error: Some(error) }, None)
    }

    #[inline(always)]
    fn poll_steps(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<ChannelResponse<P, C>, MeshError>> {
        let mut this = self.project();
        loop {
            let next = match (this.stage.as_mut().project(), &mut *this.call) {
                (StageProjection::Begin { begin }, _) => {
                    let filtered = ready!(begin.poll(cx))?;
                    (*this.deadline, *this.timer) = (filtered.deadline(), Timer::default());
                    match begun(filtered, this.call) {
                        ControlFlow::Continue(next) => next,
                        ControlFlow::Break(result) => return Poll::Ready(result),
                    }
                }
                (StageProjection::Pick, Some(call)) => match Stage::picked(call) {
                    Ok(next) => next,
                    Err(error) => return Poll::Ready(Err(error)),
                },
                (StageProjection::Race { race }, Some(call)) => {
                    let Won { response, attempt, mut carrier } = ready!(race.poll(call, cx))?;
                    return Poll::Ready(Ok(answer(this.call, response, attempt, carrier.take_timed())));
                }
                (StageProjection::Wait { helped }, _) => {
                    ready!(helped.poll(cx));
                    Stage::Pick
                }
                (StageProjection::Backoff { sleep }, _) => {
                    ready!(sleep.as_mut().poll(cx));
                    Stage::Pick
                }
                (StageProjection::Fly { carrier }, Some(call)) => {
                    let landed = match carrier.poll_landed(cx) {
                        Poll::Pending => return Poll::Pending,
                        Poll::Ready(Ok(landed)) => landed,
                        Poll::Ready(Err(overdue)) => return Poll::Ready(Err(call.overrun(overdue))),
                    };
                    let mut attempt = match carrier.take_attempt() {
                        Ok(Some(attempt)) => attempt,
                        Ok(None) => return Poll::Pending,
                        Err(overdue) => return Poll::Ready(Err(call.overrun(overdue))),
                    };
                    match landed {
                        Landed::Head(Ok(response)) => match call.after_head(&response, &mut attempt) {
                            Some(wait) => Stage::after(wait),
                            None => {
                                let timed = carrier.take_timed();
                                return Poll::Ready(Ok(answer(this.call, response, attempt, timed)));
                            }
                        },
                        Landed::Head(Err(failure)) => Stage::after_send_failure(call, failure, attempt)?,
                        Landed::Place(place) => {
                            let Some(next) = Stage::placed(call, place, attempt, carrier)? else { continue };
                            next
                        }
                    }
                }
                (StageProjection::Failed { error }, _) => {
                    return error.take().map_or(Poll::Pending, |error| Poll::Ready(Err(error)));
                }
                // polled again after it has resolved
                (_, None) => return Poll::Pending,
            };
            this.stage.set(next);
        }
    }

    /// Ready when the present attempt has taken too long: another one follows, or the call fails.
    #[inline(always)]
    fn poll_per_try(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), MeshError>> {
        let mut this = self.project();
        match &mut *this.call {
            Some(call) if call.is_retried() => this.stage.as_mut().poll_per_try(cx, call),
            Some(_) | None => Poll::Pending,
        }
    }

    fn overdue(&self) -> MeshError {
        match (&self.stage, &self.call) {
            (Stage::Begin { begin }, _) => begin.overdue(),
            (_, Some(call)) => call.overdue("while waiting for an endpoint", None),
            (_, None) => MeshError::new(MeshErrorKind::DeadlineExceeded, "deadline exceeded"),
        }
    }
}

/// The stage after the start of a call, or its result.
fn begun<P: Protocol, C: Connect>(
    filtered: Filtered<P, C>,
    call: &mut Option<Call<P, C>>,
) -> ControlFlow<Result<ChannelResponse<P, C>, MeshError>, Stage<P, C>> {
    match filtered {
        Filtered::Passed(passed) => {
            *call = Some(passed);
            ControlFlow::Continue(Stage::Pick)
        }
        Filtered::Held(held) => ControlFlow::Continue(Stage::begin(Begin::Hold(Some(held)))),
        Filtered::Failed(error) => ControlFlow::Break(Err(error)),
        Filtered::Replied(reply) => {
            let status = reply.status();
            ControlFlow::Break(Ok(reply.map(|()| ResponseBody::empty(status))))
        }
    }
}

/// The response that the caller gets; nothing of its call is left but the body.
#[inline(always)]
fn answer<P: Protocol, C: Connect>(
    call: &mut Option<Call<P, C>>,
    mut response: Response<<C::Connection as Connection>::ResponseBody>,
    attempt: Attempt<C::Connection>,
    timed: Option<TimedFlight<C::Connection, RequestBody<P::Body>>>,
) -> ChannelResponse<P, C> {
    let (info, filters) = match call {
        Some(call) => (Some(call.succeed(&attempt, &mut response)), call.filters.take()),
        None => (None, None),
    };
    *call = None;
    let (mut head, body) = response.into_parts();
    let body = ResponseBody::new(&mut head, body, attempt, timed, info, filters);
    Response::from_parts(head, body)
}

impl<P: Protocol, C: Connect> Future for ResponseFuture<P, C> {
    type Output = Result<ChannelResponse<P, C>, MeshError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let error = loop {
            match self.as_mut().poll_steps(cx) {
                Poll::Ready(Ok(response)) => return Poll::Ready(Ok(response)),
                Poll::Ready(Err(error)) => break error,
                Poll::Pending => {}
            }
            match self.as_mut().poll_per_try(cx) {
                Poll::Ready(Ok(())) => continue,
                Poll::Ready(Err(error)) => break error,
                Poll::Pending => {}
            }
            // in flight the deadline fires by itself and needs no timer here
            if matches!(self.stage, Stage::Fly { .. }) {
                return Poll::Pending;
            }
            let this = self.as_mut().project();
            ready!(this.timer.poll_passed(cx, *this.deadline));
            break self.overdue();
        };
        let mut this = self.project();
        if let StageProjection::Begin { begin } = this.stage.as_mut().project() {
            begin.fail(&error);
        }
        this.stage.set(Stage::Failed { error: None });
        let Some(call) = this.call.as_ref() else {
            tracing::debug!(%error, "call failed before it was routed");
            return Poll::Ready(Err(error));
        };
        let error = error.seen(call.may_have_been_seen);
        call.fail(&error);
        *this.call = None;
        Poll::Ready(Err(error))
    }
}

impl<P: Protocol, C: Connect> fmt::Debug for ResponseFuture<P, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").field("stage", &self.stage.name()).finish_non_exhaustive()
    }
}
