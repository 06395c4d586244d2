//! A call in flight, until its response head.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use h2::client::ResponseFuture;
use http::Response;

use crate::runtime::connect::{SendBody, SendErrorKind, SendFailure};

use super::error::send_failure;
use super::upload::{Pipe, Upload, Uploaded};
use super::{Http2Body, Http2Place};

/// A call in flight: sends the request's body and resolves to the response's head. Dropping it cancels the call.
pub struct Http2Call<B>(State<B>);

enum State<B> {
    Running { response: ResponseFuture, upload: Upload<B>, place: Http2Place },
    Failed(SendFailure<B>),
    Ended,
}

impl<B> Http2Call<B> {
    pub(super) fn new(response: ResponseFuture, upload: Upload<B>, place: Http2Place) -> Self {
        Self(State::Running { response, upload, place })
    }

    pub(super) fn failed(failure: SendFailure<B>) -> Self {
        Self(State::Failed(failure))
    }
}

impl<B: SendBody> State<B> {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Response<Http2Body>, SendFailure<B>>> {
        let Self::Running { response, upload, .. } = self else {
            return match std::mem::replace(self, Self::Ended) {
                Self::Failed(failure) => Poll::Ready(Err(failure)),
                Self::Running { .. } | Self::Ended => Poll::Pending,
            };
        };
        if !upload.is_over()
            && let Poll::Ready(Uploaded::Failed(error)) = upload.poll(cx)
        {
            return Poll::Ready(Err(SendFailure::new(SendErrorKind::Body, error)));
        }
        let response = ready!(Pin::new(response).poll(cx));
        let Self::Running { upload, place, .. } = std::mem::replace(self, Self::Ended) else {
            return Poll::Pending;
        };
        let response = match response {
            Ok(response) => {
                place.connection().on_response();
                response
            }
            Err(error) => return Poll::Ready(Err(failure(error, upload))),
        };
        let pipe = (!upload.is_over()).then(|| {
            let (pipe, cancel) = Pipe::new(upload);
            place.connection().runtime().spawn(pipe);
            cancel
        });
        let (head, stream) = response.into_parts();
        let body = Http2Body::new(&head, stream, pipe, place);
        Poll::Ready(Ok(Response::from_parts(head, body)))
    }
}

/// RT-45: a call that the endpoint has refused comes with its body if that is still whole.
fn failure<B>(error: h2::Error, upload: Upload<B>) -> SendFailure<B> {
    let failure = send_failure(error);
    match failure.error.kind() {
        SendErrorKind::Refused => match upload.into_unread() {
            Some((rest, read)) => failure.with_body(rest, read),
            None => failure,
        },
        _ => failure,
    }
}

impl<B: SendBody> Future for Http2Call<B> {
    type Output = Result<Response<Http2Body>, SendFailure<B>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let outcome = ready!(self.0.poll(cx));
        self.0 = State::Ended;
        Poll::Ready(outcome)
    }
}

impl<B> fmt::Debug for Http2Call<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            State::Running { .. } => "Http2Call(running)",
            State::Failed(_) => "Http2Call(failed)",
            State::Ended => "Http2Call(ended)",
        })
    }
}
