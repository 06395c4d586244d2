//! A call in flight, until its response head.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use h2::client::ResponseFuture;
use http::Response;

use crate::runtime::connect::{SendErrorKind, SendFailure};

use super::connection::CallGuard;
use super::error::send_failure;
use super::upload::{Pipe, Upload, Uploaded};
use super::{Http2Body, Http2RequestBody};

/// A call in flight: sends the request's body and resolves to the response's head. Dropping it cancels the call.
pub struct Http2Call<B>(State<B>);

enum State<B> {
    Running { response: ResponseFuture, upload: Option<Upload<B>>, guard: CallGuard },
    Failed(SendFailure<B>),
    Ended,
}

impl<B> Http2Call<B> {
    pub(super) fn new(response: ResponseFuture, upload: Option<Upload<B>>, guard: CallGuard) -> Self {
        Self(State::Running { response, upload, guard })
    }

    pub(super) fn failed(failure: SendFailure<B>) -> Self {
        Self(State::Failed(failure))
    }
}

impl<B: Http2RequestBody> State<B> {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Response<Http2Body>, SendFailure<B>>> {
        let Self::Running { response, upload, .. } = self else {
            return match std::mem::replace(self, Self::Ended) {
                Self::Failed(failure) => Poll::Ready(Err(failure)),
                Self::Running { .. } | Self::Ended => Poll::Pending,
            };
        };
        if let Some(Poll::Ready(uploaded)) = upload.as_mut().map(|upload| upload.poll(cx)) {
            *upload = None;
            if let Uploaded::Failed(error) = uploaded {
                return Poll::Ready(Err(SendFailure::new(SendErrorKind::Body, error)));
            }
        }
        let response = ready!(Pin::new(response).poll(cx)).map_err(send_failure)?;
        let Self::Running { upload, guard, .. } = std::mem::replace(self, Self::Ended) else {
            return Poll::Pending;
        };
        let pipe = upload.map(|upload| {
            let (pipe, cancel) = Pipe::new(upload);
            guard.connection().runtime().spawn(pipe);
            cancel
        });
        let (head, stream) = response.into_parts();
        let body = Http2Body::new(&head, stream, pipe, guard);
        Poll::Ready(Ok(Response::from_parts(head, body)))
    }
}

impl<B: Http2RequestBody> Future for Http2Call<B> {
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
            State::Running { upload: Some(_), .. } => "Http2Call(sending)",
            State::Running { upload: None, .. } => "Http2Call(waiting)",
            State::Failed(_) => "Http2Call(failed)",
            State::Ended => "Http2Call(ended)",
        })
    }
}
