//! A response's body, which keeps its call's places.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::response::Parts;
use http::{HeaderMap, StatusCode, response};
use http_body::{Body, Frame, SizeHint};

use crate::filter::{AnsweredBy, CallFilters, PreferredEndpoint};

use super::attempt::{Attempt, Outcome};
use super::connect::{BodyError, Connect, Connection, Http2Connector, SendBody};
use super::flight::{Flight, TimedFlight};
use super::target::{Routed, TargetContext};
use super::timeout::Overdue;
use super::{CallInfo, MeshError, MeshErrorKind, Protocol, RequestBody};

/// A response's body. The call is in flight in its cluster and at its endpoint until the trailers, the end, an
/// error, the deadline, or until the body is dropped.
///
/// The deadline ends it even if the body is not polled.
pub struct ResponseBody<P: Protocol, C: Connect = Http2Connector> {
    state: BodyState<C::Connection, RequestBody<P::Body>>,
    /// The status of the response's head.
    status: StatusCode,
    /// `None` for a filter's reply.
    info: Option<CallInfo>,
    /// The filters that see the trailers; `None`: none.
    filters: Option<Box<ResponseFilters>>,
}

enum BodyState<C: Connection, B: SendBody> {
    Unlimited {
        body: C::ResponseBody,
        attempt: Attempt<C>,
    },
    Timed(TimedFlight<C, B>),
    /// It has ended, and the call is not in flight any more.
    Over,
}

type FrameResult = Result<Frame<Bytes>, BodyError>;

impl<P: Protocol, C: Connect> ResponseBody<P, C> {
    /// The body of the response of `attempt`. Filters see its head now, and its trailers when they come.
    pub(super) fn new(
        head: &mut Parts,
        body: <C::Connection as Connection>::ResponseBody,
        mut attempt: Attempt<C::Connection>,
        timed: Option<TimedFlight<C::Connection, RequestBody<P::Body>>>,
        info: Option<CallInfo>,
        mut filters: Option<Box<ResponseFilters>>,
    ) -> Self {
        let status = head.status;
        attempt.on_head();
        let is_over = body.is_end_stream();
        if is_over {
            attempt.finish(&Outcome::Response { status, last: &head.headers });
        }
        if let Some(filters) = &mut filters {
            filters.on_answer(head, &|| attempt.addresses());
        }
        let state = if is_over {
            BodyState::Over
        } else {
            match timed {
                None => BodyState::Unlimited { body, attempt },
                Some(timed) => {
                    // If the deadline has just passed, the first poll returns the error.
                    let _ = timed.put(Flight::Streaming { body, attempt });
                    BodyState::Timed(timed)
                }
            }
        };
        let filters = filters.filter(|filters| filters.see_trailers());
        Self { state, status, info, filters }
    }

    /// Route, cluster and endpoint of the call, the first time; `None`: a filter has replied to it.
    pub fn take_call_info(&mut self) -> Option<CallInfo> {
        self.info.take()
    }

    /// The empty body of a filter's reply.
    pub(super) fn empty(status: StatusCode) -> Self {
        Self { state: BodyState::Over, status, info: None, filters: None }
    }

    /// The frame, with its trailers changed by the filters.
    fn filtered(&mut self, frame: Frame<Bytes>) -> Frame<Bytes> {
        match (self.filters.take(), frame.into_trailers()) {
            (Some(mut filters), Ok(mut trailers)) => {
                filters.on_trailers(&mut trailers);
                Frame::trailers(trailers)
            }
            (None, Ok(trailers)) => Frame::trailers(trailers),
            (_, Err(frame)) => frame,
        }
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<FrameResult>, MeshError>> {
        let status = self.status;
        match &mut self.state {
            BodyState::Over => Poll::Ready(Ok(None)),
            BodyState::Unlimited { body, attempt } => poll_body(body, attempt, status, cx).map(Ok),
            BodyState::Timed(timed) => {
                let polled = timed.poll(cx, |flight, cx| match flight {
                    Flight::Streaming { body, attempt } => poll_body(body, attempt, status, cx),
                    Flight::Queued { .. } | Flight::Sending { .. } => Poll::Pending,
                });
                polled.map(|polled| {
                    polled.map_err(|Overdue(rest)| {
                        let reason = "deadline exceeded before the end of the response";
                        let error = MeshError::new(MeshErrorKind::DeadlineExceeded, reason);
                        match rest {
                            Some(rest) => error.of_attempt(&rest.attempt),
                            None => error,
                        }
                    })
                })
            }
        }
    }

    fn broken(&mut self, cause: BodyError) -> MeshError {
        let error = MeshError::new(MeshErrorKind::ResponseBody, "the response broke off");
        let error = match &self.state {
            BodyState::Unlimited { attempt, .. } => error.of_attempt(attempt),
            BodyState::Timed(timed) => {
                let name = |flight: &Flight<_, _>| match flight {
                    Flight::Streaming { attempt, .. } => Some(attempt.place_in_texts()),
                    Flight::Queued { .. } | Flight::Sending { .. } => None,
                };
                match timed.with(name).flatten() {
                    Some((cluster, address)) => error.in_cluster(&cluster).at(address),
                    None => error,
                }
            }
            BodyState::Over => error,
        };
        error.caused_by(cause.h2_code(), cause)
    }
}

/// Polls the body, and finishes the attempt at the end of the body.
fn poll_body<C: Connection>(
    body: &mut C::ResponseBody,
    attempt: &mut Attempt<C>,
    status: StatusCode,
    cx: &mut Context<'_>,
) -> Poll<Option<FrameResult>> {
    let frame = ready!(Pin::new(&mut *body).poll_frame(cx));
    let none = HeaderMap::new();
    match &frame {
        Some(Ok(frame)) => {
            attempt.on_frame(frame);
            match frame.trailers_ref() {
                Some(last) => attempt.finish(&Outcome::Response { status, last }),
                None if body.is_end_stream() => attempt.finish(&Outcome::Response { status, last: &none }),
                None => {}
            }
        }
        Some(Err(cause)) => {
            attempt.on_error(MeshErrorKind::ResponseBody, cause.h2_code());
            attempt.finish(&Outcome::Failed);
        }
        None => attempt.finish(&Outcome::Response { status, last: &none }),
    }
    Poll::Ready(frame)
}

impl<P: Protocol, C: Connect> Body for ResponseBody<P, C> {
    type Data = Bytes;
    type Error = MeshError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, MeshError>>> {
        let me = self.get_mut();
        let frame = match ready!(me.poll_next(cx)) {
            Ok(Some(Ok(frame))) => {
                if frame.is_trailers() {
                    me.state = BodyState::Over;
                    return Poll::Ready(Some(Ok(me.filtered(frame))));
                }
                return Poll::Ready(Some(Ok(frame)));
            }
            Ok(Some(Err(cause))) => Some(Err(me.broken(cause))),
            Ok(None) => None,
            Err(overdue) => Some(Err(overdue)),
        };
        me.state = BodyState::Over;
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        match &self.state {
            BodyState::Over => true,
            BodyState::Unlimited { body, .. } => body.is_end_stream(),
            // After the deadline the body still has to return an error.
            BodyState::Timed(timed) => timed.with(is_end_stream).unwrap_or(false),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.state {
            BodyState::Over => SizeHint::with_exact(0),
            BodyState::Unlimited { body, .. } => body.size_hint(),
            BodyState::Timed(timed) => timed.with(size_hint).unwrap_or_default(),
        }
    }
}

fn is_end_stream<C: Connection, B: SendBody>(flight: &Flight<C, B>) -> bool {
    matches!(flight, Flight::Streaming { body, .. } if body.is_end_stream())
}

fn size_hint<C: Connection, B: SendBody>(flight: &Flight<C, B>) -> SizeHint {
    match flight {
        Flight::Streaming { body, .. } => body.size_hint(),
        Flight::Queued { .. } | Flight::Sending { .. } => SizeHint::default(),
    }
}

impl<P: Protocol, C: Connect> fmt::Debug for ResponseBody<P, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseBody").field("status", &self.status).finish_non_exhaustive()
    }
}

/// The filters that see the response of a call.
#[derive(Debug)]
pub(super) struct ResponseFilters {
    filters: CallFilters,
    context: Arc<TargetContext>,
}

impl ResponseFilters {
    /// `None`: the call needs no filter any more.
    pub(super) fn of<C: Connect>(filters: CallFilters, routed: &Routed<C>) -> Option<Box<Self>> {
        let context = &routed.cluster.context;
        let is_needed = filters.see_response() || filters.preferred().is_some();
        is_needed.then(|| Box::new(Self { filters, context: context.clone() }))
    }

    /// HF-27: the endpoint that every attempt goes to, if it can.
    pub(super) fn preferred(&self) -> Option<&PreferredEndpoint> {
        self.filters.preferred()
    }

    fn on_answer(&mut self, head: &mut response::Parts, answered: &AnsweredBy<'_>) {
        let Self { filters, context } = self;
        context.randomness.with(|rng| filters.on_answer(head, answered, rng));
    }

    /// The head of a filter's reply.
    pub(super) fn on_response(&mut self, head: &mut response::Parts) {
        let Self { filters, context } = self;
        context.randomness.with(|rng| filters.on_response(head, rng));
    }

    fn on_trailers(&mut self, trailers: &mut HeaderMap) {
        let Self { filters, context } = self;
        context.randomness.with(|rng| filters.on_trailers(trailers, rng));
    }

    fn see_trailers(&self) -> bool {
        self.filters.see_trailers()
    }
}
