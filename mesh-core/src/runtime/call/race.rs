//! A hedged call: attempts that run at the same time, the first answer of which counts (gRFC A6, Envoy's
//! `hedge_on_per_try_timeout`).
//!
//! ```text
//!  start an attempt ─► delay passes, or an attempt fails and may be tried again ─► start another one, up to the policy's number
//!  an attempt has a response that is not to be retried ─► it wins: the others are cancelled, and not counted
//!  no attempt runs and none may follow ─► the last failure is the call's
//! ```
// RT-49, RT-56

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use http::{Request, Response};
use tokio::sync::futures::OwnedNotified;
use tokio::time::{Instant, Sleep, sleep_until};

use crate::policy::retry::{Cause, Failure};
use crate::runtime::attempt::{Attempt, Outcome};
use crate::runtime::connect::{Connect, Connection, SendErrorKind, SendFailure};
use crate::runtime::flight::{Carrier, Flight, Landed};
use crate::runtime::retry::{Hedge, RetryPermit};
use crate::runtime::target::{Picked, Refusal};
use crate::runtime::{CallStatus, MeshError, Protocol, RequestBody, WaitForReady};

use super::Call;

type CallCarrier<P, C> = Carrier<<C as Connect>::Connection, RequestBody<<P as Protocol>::Body>>;

type CallResponse<C> = Response<<<C as Connect>::Connection as Connection>::ResponseBody>;

/// The attempts of a hedged call.
pub(crate) struct Race<P: Protocol, C: Connect> {
    runners: Vec<Runner<P, C>>,
    /// When another attempt starts; `None`: none may follow.
    next: Option<Pin<Box<Sleep>>>,
    /// The last failure.
    last: Option<Result<Won<P, C>, MeshError>>,
}

/// The attempt whose response the caller gets.
pub(crate) struct Won<P: Protocol, C: Connect> {
    pub(crate) response: CallResponse<C>,
    pub(crate) attempt: Attempt<C::Connection>,
    pub(crate) carrier: CallCarrier<P, C>,
}

/// One attempt.
struct Runner<P: Protocol, C: Connect> {
    hedge: Hedge,
    permit: Option<RetryPermit>,
    /// `None` once it is sent.
    request: Option<Request<RequestBody<P::Body>>>,
    state: RunnerState<P, C>,
    unsent: u32,
}

enum RunnerState<P: Protocol, C: Connect> {
    Pick,
    Wait(Pin<Box<OwnedNotified>>),
    Fly(CallCarrier<P, C>),
}

/// The end of an attempt.
enum Ended<P: Protocol, C: Connect> {
    Response(Box<Won<P, C>>),
    Error(MeshError, Cause<'static>),
    /// No other attempt can help.
    Final(MeshError),
}

impl<P: Protocol, C: Connect> Race<P, C> {
    /// Begins with the call's first attempt.
    pub(crate) fn new(call: &mut Call<P, C>) -> Self {
        let first = Runner::new(Hedge::FIRST, None, call.request.take());
        let mut race = Self { runners: vec![first], next: None, last: None };
        race.schedule(call, None);
        race
    }

    /// Must not be polled any more once it is ready.
    pub(crate) fn poll(
        &mut self,
        call: &mut Call<P, C>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Won<P, C>, MeshError>> {
        loop {
            self.follow_commitment(call, cx);
            while self.next.as_mut().is_some_and(|next| next.as_mut().poll(cx).is_ready()) {
                self.start(call);
            }
            let mut has_ended = false;
            let mut index = 0;
            while let Some(runner) = self.runners.get_mut(index) {
                match runner.poll(call, cx) {
                    Poll::Pending => index += 1,
                    Poll::Ready(ended) => {
                        let runner = self.runners.remove(index);
                        has_ended = true;
                        if let Some(result) = self.after(call, &runner, ended) {
                            // dropped, the other attempts are cancelled
                            self.runners.clear();
                            self.next = None;
                            return Poll::Ready(result);
                        }
                    }
                }
            }
            if self.runners.is_empty()
                && self.next.is_none()
                && let Some(last) = self.last.take()
            {
                return Poll::Ready(last);
            }
            if !has_ended {
                return Poll::Pending;
            }
        }
    }

    /// RT-43: of a request that is too long to be kept, only the attempt that has read furthest goes on.
    fn follow_commitment(&mut self, call: &mut Call<P, C>, cx: &mut Context<'_>) {
        if let Some(retry) = call.retry.as_deref_mut()
            && let Some(only) = retry.committed_to(cx)
        {
            self.runners.retain(|runner| runner.hedge.body == only);
            self.next = None;
        }
    }

    /// Starts another attempt, if the limits allow one.
    fn start(&mut self, call: &mut Call<P, C>) {
        self.next = None;
        let cluster = call.cluster.accounting();
        let started = call.retry.as_deref_mut().and_then(|retry| retry.start_hedge(cluster.as_ref()?));
        match started {
            Some((hedge, permit, request)) => {
                self.runners.push(Runner::new(hedge, Some(permit), Some(request)));
                self.schedule(call, None);
            }
            // too many of the cluster's calls are retries: perhaps later
            None if !self.runners.is_empty() => self.schedule(call, Some(LATER)),
            None => {}
        }
    }

    /// Another attempt starts after this wait, or the policy's delay, if there may be one.
    fn schedule(&mut self, call: &Call<P, C>, wait: Option<Duration>) {
        let delay = call.retry.as_deref().and_then(|retry| retry.hedging_delay());
        let at = delay.map(|delay| Instant::now() + wait.unwrap_or(delay));
        self.next = at.map(|at| Box::pin(sleep_until(at)));
    }

    /// The call's result, if this end of an attempt decides it.
    fn after(
        &mut self,
        call: &mut Call<P, C>,
        runner: &Runner<P, C>,
        ended: Ended<P, C>,
    ) -> Option<Result<Won<P, C>, MeshError>> {
        let (failure_of, is_final) = match &ended {
            Ended::Response(won) => match call.hedge_status(&won.response) {
                None => {
                    call.commit_to(runner.hedge);
                    (None, true)
                }
                Some(CallStatus { code, pushback }) => {
                    call.may_have_been_seen = true;
                    let (status, headers) = (won.response.status(), won.response.headers());
                    (Some(Failure { code, pushback, cause: Cause::Response { status, headers } }), false)
                }
            },
            Ended::Error(error, cause) => {
                (Some(Failure { code: P::code(error), pushback: None, cause: *cause }), false)
            }
            Ended::Final(_) => (None, self.runners.is_empty()),
        };
        let wait = match failure_of {
            Some(failure) => match call.retry.as_deref_mut().map(|retry| retry.after_hedge(&failure)) {
                // RT-49: a failure that is not to be retried is the call's result
                Some(None) | None => return Some(ended.into_result()),
                Some(Some(wait)) => wait,
            },
            None if is_final => return Some(ended.into_result()),
            None => return None,
        };
        self.last = Some(ended.into_result());
        // C50: at once, or when the server wants it
        self.schedule(call, Some(wait));
        None
    }
}

impl<P: Protocol, C: Connect> Ended<P, C> {
    fn into_result(self) -> Result<Won<P, C>, MeshError> {
        match self {
            Self::Response(mut won) => {
                let (status, last) = (won.response.status(), won.response.headers());
                if P::classify_head(status, last).is_some() {
                    won.attempt.finish(&Outcome::Response { status, last });
                }
                Ok(*won)
            }
            Self::Error(error, _) | Self::Final(error) => Err(error),
        }
    }
}

impl<P: Protocol, C: Connect> Runner<P, C> {
    fn new(
        hedge: Hedge,
        permit: Option<RetryPermit>,
        request: Option<Request<RequestBody<P::Body>>>,
    ) -> Self {
        Self { hedge, permit, request, state: RunnerState::Pick, unsent: 0 }
    }

    fn poll(&mut self, call: &mut Call<P, C>, cx: &mut Context<'_>) -> Poll<Ended<P, C>> {
        loop {
            let next = match &mut self.state {
                RunnerState::Pick => match self.with_request(call, |call| call.pick()) {
                    Picked::Endpoint(attempt, place) => match self.send(call, attempt, place) {
                        Ok(flight) => RunnerState::Fly(carrier(call, flight)),
                        Err(error) => return Poll::Ready(Ended::Final(error)),
                    },
                    Picked::Queue(attempt, place) => match call.start_waiting() {
                        Ok(()) => RunnerState::Fly(carrier(call, Flight::Queued { place, attempt })),
                        Err(error) => return Poll::Ready(Ended::Final(error)),
                    },
                    Picked::Wait(seen) => match wait(call, seen) {
                        Ok(state) => state,
                        Err(ended) => return Poll::Ready(ended),
                    },
                    Picked::Failed(refusal) => match after_refusal(call, refusal) {
                        Ok(state) => state,
                        Err(ended) => return Poll::Ready(ended),
                    },
                },
                RunnerState::Wait(helped) => match helped.as_mut().poll(cx) {
                    Poll::Ready(()) => RunnerState::Pick,
                    Poll::Pending => return Poll::Pending,
                },
                RunnerState::Fly(carrier) => match carrier.poll_landed(cx) {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(Err(overdue)) => return Poll::Ready(Ended::Final(call.overrun(overdue))),
                    Poll::Ready(Ok(landed)) => match self.land(call, landed) {
                        Ok(state) => state,
                        Err(ended) => return Poll::Ready(ended),
                    },
                },
            };
            self.state = next;
        }
    }

    /// The next state, or the end of the attempt.
    fn land(
        &mut self,
        call: &mut Call<P, C>,
        landed: Landed<C::Connection, RequestBody<P::Body>>,
    ) -> Result<RunnerState<P, C>, Ended<P, C>> {
        let RunnerState::Fly(mut carrier) = std::mem::replace(&mut self.state, RunnerState::Pick) else {
            return Ok(RunnerState::Pick);
        };
        let attempt = carrier.take_attempt().map_err(|overdue| Ended::Final(call.overrun(overdue)))?;
        let Some(mut attempt) = attempt else { return Ok(RunnerState::Pick) };
        match landed {
            Landed::Place(Some(place)) => {
                let flight = self.send(call, attempt, place).map_err(Ended::Final)?;
                carrier.put(flight).map_err(|overdue| Ended::Final(call.overrun(overdue)))?;
                Ok(RunnerState::Fly(carrier))
            }
            Landed::Place(None) => {
                attempt.finish(&Outcome::NotSent);
                Ok(RunnerState::Pick)
            }
            Landed::Head(Ok(response)) => Err(Ended::Response(Box::new(Won { response, attempt, carrier }))),
            Landed::Head(Err(failure)) => self.after_send_failure(call, failure, attempt),
        }
    }

    /// RT-45: what was not sent is sent again; every other failure ends the attempt.
    fn after_send_failure(
        &mut self,
        call: &mut Call<P, C>,
        failure: SendFailure<RequestBody<P::Body>>,
        mut attempt: Attempt<C::Connection>,
    ) -> Result<RunnerState<P, C>, Ended<P, C>> {
        let kind = failure.error.kind();
        attempt.on_error(super::next_attempt::mesh_kind(kind), failure.error.h2_code());
        attempt.finish(&super::next_attempt::outcome_of(kind));
        self.unsent += 1;
        if kind == SendErrorKind::NotSent
            && self.unsent <= MOST_UNSENT
            && let Some(retry) = call.retry.as_deref_mut()
            && let Some((body, request)) = retry.request_again()
        {
            (self.hedge.body, self.request) = (body, Some(request));
            call.observe_repetition();
            return Ok(RunnerState::Pick);
        }
        call.may_have_been_seen |= super::next_attempt::may_have_been_seen(kind);
        let error = call.send_error(failure.error).at(attempt.address());
        Err(match kind {
            SendErrorKind::TooLarge | SendErrorKind::Body | SendErrorKind::Malformed => Ended::Final(error),
            _ => Ended::Error(error, super::next_attempt::cause_of(kind)),
        })
    }

    fn send(
        &mut self,
        call: &mut Call<P, C>,
        attempt: Attempt<C::Connection>,
        place: <C::Connection as Connection>::Place,
    ) -> Result<Flight<C::Connection, RequestBody<P::Body>>, MeshError> {
        // the next attempts go elsewhere
        call.avoid_endpoint_of(&attempt);
        let permit = self.permit.take();
        let hedge = self.hedge;
        self.with_request(call, |call| {
            if let Some(retry) = call.retry.as_deref_mut() {
                retry.lend(hedge, permit);
            }
            call.send(attempt, place)
        })
    }

    /// Runs a step of the call with this attempt's request in its place.
    fn with_request<T>(&mut self, call: &mut Call<P, C>, step: impl FnOnce(&mut Call<P, C>) -> T) -> T {
        std::mem::swap(&mut call.request, &mut self.request);
        let result = step(call);
        std::mem::swap(&mut call.request, &mut self.request);
        result
    }
}

fn carrier<P: Protocol, C: Connect>(
    call: &Call<P, C>,
    flight: Flight<C::Connection, RequestBody<P::Body>>,
) -> CallCarrier<P, C> {
    Carrier::new(&call.cluster.context.deadlines, call.deadline, flight)
}

fn wait<P: Protocol, C: Connect>(call: &mut Call<P, C>, seen: u64) -> Result<RunnerState<P, C>, Ended<P, C>> {
    call.start_waiting().map_err(Ended::Final)?;
    Ok(match call.cluster.next_help(call.wait_for_ready, seen) {
        Some(helped) => RunnerState::Wait(Box::pin(helped)),
        None => RunnerState::Pick,
    })
}

fn after_refusal<P: Protocol, C: Connect>(
    call: &mut Call<P, C>,
    refusal: Refusal,
) -> Result<RunnerState<P, C>, Ended<P, C>> {
    match (refusal.temporary, call.wait_for_ready) {
        (Some((seen, _)), WaitForReady(true)) => wait(call, seen),
        (Some(_), WaitForReady(false)) => Err(Ended::Error(refusal.error, Cause::Unreachable)),
        // RT-26, RT-46
        (None, _) => Err(Ended::Final(refusal.error)),
    }
}

/// How often one attempt is repeated because it was not sent.
const MOST_UNSENT: u32 = 3;

/// When the retry budget is asked again.
const LATER: Duration = Duration::from_millis(10);
