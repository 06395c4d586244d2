//! A call in flight, until its response head.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use h2::client::ResponseFuture;
use http::{Request, Response};

use crate::runtime::ReplayRoom;
use crate::runtime::connect::{SendBody, SendErrorKind, SendFailure, UnreadRequest};
use crate::runtime::head_copy::HeadCopy;

use super::connection::{CallGate, Holds};
use super::error::{TooLarge, send_failure};
use super::gate::{Gate, Refusal, WaitForRoom};
use super::headers::{HeadSummary, fields_size};
use super::task::Visit;
use super::upload::{Pipe, Upload, Uploaded};
use super::{Http2Body, Http2Place};

/// A call in flight: sends the request's body and resolves to the response's head. Dropping it cancels the call.
pub struct Http2Call<B>(CallState<B>);

/// Boxed: a call is moved about a dozen times on its way from its caller to its last poll.
enum CallState<B> {
    Waiting(Box<WaitingCall<B>>),
    Running(Box<Running<B>>),
    Failed(SendFailure<B>),
    Ended,
}

/// A call that waits until the heads of other calls are written.
struct WaitingCall<B> {
    room: WaitForRoom<CallGate>,
    outgoing: Outgoing<B>,
    place: Http2Place,
}

/// A request that was not handed to h2.
struct Outgoing<B> {
    request: Request<B>,
    head: HeadSummary,
    room: ReplayRoom,
}

/// A call that was handed to h2.
struct Running<B> {
    response: ResponseFuture,
    upload: Upload<B>,
    /// The size of the request's head.
    size: usize,
    /// The request's head, if the connection keeps it.
    head: Option<HeadCopy>,
    place: Http2Place,
}

impl<B: SendBody> Http2Call<B> {
    pub(super) fn start(place: Http2Place, request: Request<B>, room: ReplayRoom) -> Self {
        let (head, body) = request.into_parts();
        let (summary, limit) = (HeadSummary::of(&head), place.connection().shared().max_header_list());
        if summary.size > limit as usize {
            // The endpoint would end its connection because of this request, and so would the next one.
            let source = TooLarge::Request { size: summary.size, limit };
            return Self(CallState::Failed(SendFailure::new(SendErrorKind::TooLarge, source)));
        }
        let request = Request::from_parts(head, body);
        Self(CallState::admit(place, Outgoing { request, head: summary, room }))
    }

    #[cfg(test)]
    pub(super) fn closed(request: Request<B>) -> Self {
        Self(CallState::closed(request))
    }
}

impl<B: SendBody> CallState<B> {
    /// Opens the call's stream, or waits until the heads of other calls are written.
    fn admit(place: Http2Place, outgoing: Outgoing<B>) -> Self {
        let connection = place.connection();
        match connection.shared().outbox.try_enter() {
            Ok(()) => Self::open(place, outgoing),
            Err(Refusal::Closed) => Self::closed(outgoing.request),
            Err(Refusal::Full) => {
                let room = Gate::enter(CallGate::Outbox(connection.clone()));
                Self::Waiting(Box::new(WaitingCall { room, outgoing, place }))
            }
        }
    }

    /// Hands the call to h2, after it has entered the outbox.
    fn open(mut place: Http2Place, outgoing: Outgoing<B>) -> Self {
        let Outgoing { request, head: HeadSummary { size, is_malformed }, room } = outgoing;
        let shared = place.connection().shared();
        // HTTP/2 refuses a malformed request before it is a stream.
        if !is_malformed && !shared.calls.take() {
            shared.outbox.leave(1);
            return Self::Failed(SendFailure::not_sent(request, "the connection has carried all its calls"));
        }
        let (parts, body) = request.into_parts();
        let head = room.keeps().then(|| HeadCopy::of(&parts));
        let opened = {
            // The call's next poll sends its body, too.
            let _visit = Visit::first(shared);
            place.connection().open_stream(Request::from_parts(parts, ()), body.is_end_stream())
        };
        match opened {
            Ok((response, stream)) => {
                if shared.calls.is_used_up() {
                    // Running calls continue; others go to the connection that replaces this one.
                    shared.close();
                }
                place.set_holds(Holds::Stream);
                let upload = Upload::new(body, stream, room);
                Self::Running(Box::new(Running { response, upload, size, head, place }))
            }
            Err(error) => {
                shared.outbox.leave(1);
                if is_malformed {
                    // Another connection would refuse it as well.
                    return Self::Failed(SendFailure::new(SendErrorKind::Malformed, error));
                }
                shared.close();
                let request = UnreadRequest::new(head.map(HeadCopy::into_parts), body);
                Self::Failed(SendFailure::new(SendErrorKind::NotSent, error).with_request(request))
            }
        }
    }

    fn closed(request: Request<B>) -> Self {
        Self::Failed(SendFailure::not_sent(request, "the connection is closed"))
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Response<Http2Body>, SendFailure<B>>> {
        if let Self::Waiting(waiting) = self {
            let is_admitted = ready!(Pin::new(&mut waiting.room).poll(cx));
            if let Self::Waiting(waiting) = std::mem::replace(self, Self::Ended) {
                *self = waiting.go_on(is_admitted);
            }
        }
        let Self::Running(running) = self else {
            return match std::mem::replace(self, Self::Ended) {
                Self::Failed(failure) => Poll::Ready(Err(failure)),
                _ => Poll::Pending,
            };
        };
        let response = ready!(running.poll(cx));
        let Self::Running(running) = std::mem::replace(self, Self::Ended) else {
            return Poll::Pending;
        };
        Poll::Ready(match response {
            Ok(response) => running.finish(response),
            Err(Failed::Body(error)) => {
                running.cancel();
                Err(SendFailure::new(SendErrorKind::Body, error))
            }
            Err(Failed::Stream(error)) => Err(running.fail(error)),
        })
    }
}

impl<B> CallState<B> {
    /// The caller has dropped the call.
    fn cancel(&mut self) {
        if let Self::Running(running) = std::mem::replace(self, Self::Ended) {
            running.cancel();
        }
    }
}

impl<B: SendBody> WaitingCall<B> {
    fn go_on(self, is_admitted: bool) -> CallState<B> {
        let Self { outgoing, place, .. } = self;
        if is_admitted { CallState::open(place, outgoing) } else { CallState::closed(outgoing.request) }
    }
}

/// What ended a call.
enum Failed {
    Body(Box<dyn std::error::Error + Send + Sync>),
    Stream(h2::Error),
}

#[expect(clippy::boxed_local, reason = "unboxed, the whole call would be moved")]
impl<B> Running<B> {
    /// The stream stays open until the response is dropped.
    fn cancel(self: Box<Self>) {
        let Self { response, upload, place, .. } = *self;
        let shared = place.connection().shared();
        let _visit = Visit::new(shared);
        shared.cancelled.cancel(response);
        drop(upload);
    }
}

#[expect(clippy::boxed_local, reason = "unboxed, the whole call would be moved")]
impl<B: SendBody> Running<B> {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Response<h2::RecvStream>, Failed>> {
        let shared = self.place.connection().shared();
        let _visit = Visit::new(shared);
        if !self.upload.is_over()
            && let Poll::Ready(Uploaded::Failed(error)) = self.upload.poll(cx, &shared.send_window)
        {
            return Poll::Ready(Err(Failed::Body(error)));
        }
        Pin::new(&mut self.response).poll(cx).map_err(Failed::Stream)
    }

    fn finish(
        self: Box<Self>,
        response: Response<h2::RecvStream>,
    ) -> Result<Response<Http2Body>, SendFailure<B>> {
        let Self { upload, place, .. } = *self;
        let connection = place.connection();
        let (size, limit) = (fields_size(response.headers()), connection.settings().max_header_list);
        if size > limit as usize {
            let source = TooLarge::Head { size, limit };
            return Err(SendFailure::new(SendErrorKind::TooLarge, source));
        }
        let pipe = (!upload.is_over()).then(|| {
            let (pipe, cancel) = Pipe::new(upload, connection.shared().clone());
            connection.runtime().spawn(pipe);
            cancel
        });
        let (head, stream) = response.into_parts();
        let body = Http2Body::new(&head, stream, pipe, place);
        Ok(Response::from_parts(head, body))
    }

    /// RT-45: the failure of a call that the endpoint has not processed has the request's body, if it can be sent again.
    fn fail(self: Box<Self>, error: h2::Error) -> SendFailure<B> {
        let stream = self.response.stream_id().as_u32();
        let failure = send_failure(error, stream, self.size, self.place.connection());
        match failure.error.kind() {
            SendErrorKind::Refused | SendErrorKind::NotSent => match self.upload.into_unread() {
                Some(body) => {
                    failure.with_request(UnreadRequest { head: self.head.map(HeadCopy::into_parts), body })
                }
                None => failure,
            },
            _ => failure,
        }
    }
}

impl<B: SendBody> Future for Http2Call<B> {
    type Output = Result<Response<Http2Body>, SendFailure<B>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let outcome = ready!(self.0.poll(cx));
        self.0 = CallState::Ended;
        Poll::Ready(outcome)
    }
}

impl<B> Drop for Http2Call<B> {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

impl<B> fmt::Debug for Http2Call<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            CallState::Waiting(_) => "Http2Call(waiting)",
            CallState::Running(_) => "Http2Call(running)",
            CallState::Failed(_) => "Http2Call(failed)",
            CallState::Ended => "Http2Call(ended)",
        })
    }
}
