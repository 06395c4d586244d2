//! The way of a request: every step is here, in the order in which it is taken.
//!
//! ```text
//!  call   1 load the target's snapshot; none yet: wait for it
//!         2 match virtual host, route and cluster
//!  poll   3 pick an endpoint; none yet: wait for one
//!         4 circuit breaker
//!         5 send, and wait for the response's head
//!           failed: transparent retry, or one by the route's policy, from 3
//!         6 hand the head to the caller; the body keeps what the call occupies
//! ```
//!
//! All of it happens on the caller's task. Nothing is queued or locked on the way, and nothing is boxed unless the call
//! has to wait or its route has a retry policy. The deadline holds over all of it, from the beginning of the call.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use http::{Request, Response};
use pin_project_lite::pin_project;
use tokio::time::Instant;

use crate::policy::route::RequestHead;

use super::attempt::Attempt;
use super::call::{Call, Next};
use super::channel::Inner;
use super::connect::{Connect, Connection};
use super::target::{Picked, Refusal, RouteInput, Routed, Snapshot, State, TargetContext};
use super::timeout::Timer;
use super::{
    CallOptions, Channel, MeshError, MeshErrorKind, Protocol, RequestBody, ResponseBody, WaitForReady,
};

/// The response of a call over connections of `C`.
pub type ChannelResponse<C> =
    Response<ResponseBody<<<C as Connect>::Connection as Connection>::ResponseBody>>;

type Sending<P, C> = <<C as Connect>::Connection as Connection>::Call<RequestBody<<P as Protocol>::Body>>;
type Waiting<T> = Pin<Box<dyn Future<Output = T> + Send>>;

impl<P: Protocol, C: Connect> Channel<P, C> {
    /// Sends a request. Its URI is what goes on the wire; the route is chosen by the target's authority.
    pub fn call(&self, request: Request<P::Body>, options: CallOptions) -> ResponseFuture<P, C> {
        let channel = &self.0;
        let settings = &channel.settings;
        let start = Start {
            wait_for_ready: options.wait_for_ready.unwrap_or(settings.wait_for_ready),
            timeout: options.timeout.or(settings.timeout),
        };
        match &**channel.target.state() {
            State::Serving(snapshot) => match channel.route::<P>(snapshot, &request, start) {
                Ok(routed) => ResponseFuture::of(channel.begin(routed, request, start, None)),
                Err(error) => ResponseFuture::at(Stage::Failed { error: Some(error) }, None),
            },
            State::Pending | State::Failed(_) => {
                let now = Instant::now();
                let context = channel.target.context().clone();
                let configured = Box::pin(channel.clone().configure(request, start, now));
                ResponseFuture::at(
                    Stage::Configure { configured, context },
                    deadline(start.timeout, Some(now)),
                )
            }
        }
    }
}

/// What holds for a call before it is routed.
#[derive(Debug, Clone, Copy)]
struct Start {
    wait_for_ready: WaitForReady,
    timeout: Option<Duration>,
}

impl<C: Connect> Inner<C> {
    async fn configure<P: Protocol>(
        self: Arc<Self>,
        request: Request<P::Body>,
        start: Start,
        began: Instant,
    ) -> Result<Call<P, C>, MeshError> {
        loop {
            let state = self.target.configured(start.wait_for_ready).await?;
            if let State::Serving(snapshot) = &*state {
                let routed = self.route::<P>(snapshot, &request, start)?;
                return Ok(self.begin(routed, request, start, Some(began)));
            }
        }
    }

    /// RT-23: once per call.
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

    fn begin<P: Protocol>(
        &self,
        routed: Routed<C>,
        request: Request<P::Body>,
        start: Start,
        began: Option<Instant>,
    ) -> Call<P, C> {
        // RT-35
        let deadline = deadline(routed.timeout, began);
        Call::new(routed, request, deadline, start.wait_for_ready, self.retry)
    }
}

/// A timeout beyond the clock's range is none. The clock is read only where there is one.
fn deadline(timeout: Option<Duration>, began: Option<Instant>) -> Option<Instant> {
    let timeout = timeout?;
    began.unwrap_or_else(Instant::now).checked_add(timeout)
}

pin_project! {
    /// A call on its way: resolves to the response's head. Dropping it cancels the call.
    pub struct ResponseFuture<P: Protocol, C: Connect> {
        call: Option<Call<P, C>>,
        deadline: Option<Instant>,
        #[pin]
        stage: Stage<P, C>,
        #[pin]
        timer: Timer,
    }
}

pin_project! {
    #[project = StageProjection]
    enum Stage<P: Protocol, C: Connect> {
        Configure {
            configured: Waiting<Result<Call<P, C>, MeshError>>,
            context: Arc<TargetContext>,
        },
        Pick,
        Wait {
            over: Waiting<()>,
        },
        Send {
            #[pin]
            response: Sending<P, C>,
            attempt: Option<Attempt>,
        },
        Failed {
            error: Option<MeshError>,
        },
    }
}

impl<P: Protocol, C: Connect> ResponseFuture<P, C> {
    fn of(call: Call<P, C>) -> Self {
        let deadline = call.deadline;
        Self { call: Some(call), deadline, stage: Stage::Pick, timer: Timer::default() }
    }

    fn at(stage: Stage<P, C>, deadline: Option<Instant>) -> Self {
        Self { call: None, deadline, stage, timer: Timer::default() }
    }

    fn poll_steps(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<ChannelResponse<C>, MeshError>> {
        let mut this = self.project();
        loop {
            let next = match (this.stage.as_mut().project(), &mut *this.call) {
                (StageProjection::Configure { configured, .. }, _) => {
                    let call = ready!(configured.as_mut().poll(cx))?;
                    *this.deadline = call.deadline;
                    this.timer.set(Timer::default());
                    *this.call = Some(call);
                    Stage::Pick
                }
                (StageProjection::Pick, Some(call)) => match call.pick() {
                    Picked::Endpoint(admitted) => {
                        let (response, attempt) = call.send(admitted)?;
                        Stage::Send { response, attempt: Some(attempt) }
                    }
                    Picked::Wait(version) => Stage::until(call.cluster.clone().changed(version)),
                    Picked::Failed(refusal) => Stage::refused(call, refusal)?,
                },
                (StageProjection::Wait { over }, _) => {
                    ready!(over.as_mut().poll(cx));
                    Stage::Pick
                }
                (StageProjection::Send { response, attempt }, Some(call)) => {
                    match ready!(response.poll(cx)) {
                        Ok(response) => {
                            if let Some(wait) = call.after_head(&response, attempt) {
                                Stage::after(wait)
                            } else {
                                let (attempt, deadline) = (attempt.take(), *this.deadline);
                                *this.call = None;
                                let body = |body| ResponseBody::new(body, attempt, deadline);
                                return Poll::Ready(Ok(response.map(body)));
                            }
                        }
                        Err(failure) => match call.after_send_failure(failure, attempt) {
                            Next::Attempt(wait) => Stage::after(wait),
                            Next::Fail(error) => return Poll::Ready(Err(error)),
                        },
                    }
                }
                (StageProjection::Failed { error }, _) => match error.take() {
                    Some(error) => return Poll::Ready(Err(error)),
                    None => return Poll::Pending,
                },
                // polled again after it has resolved
                (StageProjection::Pick | StageProjection::Send { .. }, None) => return Poll::Pending,
            };
            this.stage.set(next);
        }
    }

    fn overdue(&self) -> MeshError {
        match (&self.stage, &self.call) {
            (Stage::Configure { context, .. }, _) => context
                .error(MeshErrorKind::DeadlineExceeded, "deadline exceeded while there was no configuration"),
            (Stage::Send { attempt: Some(attempt), .. }, Some(call)) => {
                call.overdue(&format!("while waiting for {}", attempt.endpoint.address))
            }
            (_, Some(call)) => call.overdue("while waiting for an endpoint"),
            (_, None) => MeshError::new(MeshErrorKind::DeadlineExceeded, "deadline exceeded"),
        }
    }
}

impl<P: Protocol, C: Connect> Stage<P, C> {
    fn until(over: impl Future<Output = ()> + Send + 'static) -> Self {
        Self::Wait { over: Box::pin(over) }
    }

    /// Another attempt after a wait.
    fn after(wait: Duration) -> Self {
        match wait {
            Duration::ZERO => Self::Pick,
            wait => Self::until(tokio::time::sleep(wait)),
        }
    }

    /// A pick found nothing: wait for the cluster to change, try again by the route's policy, or fail.
    fn refused(call: &mut Call<P, C>, refusal: Refusal) -> Result<Self, MeshError> {
        match (refusal.temporary, call.wait_for_ready) {
            (Some((version, _)), WaitForReady(true)) => {
                Ok(Self::until(call.cluster.clone().changed(version)))
            }
            (Some((_, load)), WaitForReady(false)) => match call.after_refusal(refusal.error, &load) {
                Next::Attempt(wait) => Ok(Self::after(wait)),
                Next::Fail(error) => Err(error),
            },
            // RT-26, RT-46: final, whatever the call wants
            (None, _) => Err(refusal.error),
        }
    }
}

impl<P: Protocol, C: Connect> Future for ResponseFuture<P, C> {
    type Output = Result<ChannelResponse<C>, MeshError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if let Poll::Ready(result) = self.as_mut().poll_steps(cx) {
            return Poll::Ready(result);
        }
        let this = self.as_mut().project();
        ready!(this.timer.poll_passed(cx, *this.deadline));
        let error = self.overdue();
        let mut this = self.project();
        *this.call = None;
        this.stage.set(Stage::Failed { error: None });
        Poll::Ready(Err(error))
    }
}

impl<P: Protocol, C: Connect> fmt::Debug for ResponseFuture<P, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stage = match &self.stage {
            Stage::Configure { .. } => "waiting for a configuration",
            Stage::Pick => "picking an endpoint",
            Stage::Wait { .. } => "waiting",
            Stage::Send { .. } => "sent",
            Stage::Failed { .. } => "failed",
        };
        f.debug_struct("ResponseFuture").field("stage", &stage).finish_non_exhaustive()
    }
}
