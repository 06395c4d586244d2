//! Ends a stream at the head of a message that is too large, with an error that says of which type it is.
//!
//! tonic has a limit of its own, but knows only the size. A gRPC message begins with five bytes, the last four its
//! length; what the message itself begins with is enough to tell the [`type_url`] of its resources.

mod scan;
mod type_url;

use std::pin::Pin;
use std::sync::PoisonError;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body, Frame};
use pin_project_lite::pin_project;
use tower_service::Service;

use super::Failure;

pub(super) use type_url::Message;

use scan::{Scan, Verdict};

/// A connection whose response bodies are watched.
#[derive(Debug, Clone)]
pub(super) struct SizeGuard<S> {
    inner: S,
    message: Message,
    limit: usize,
    failure: Failure,
}

impl<S> SizeGuard<S> {
    /// Takes messages of up to `limit` bytes.
    pub(super) fn new(inner: S, message: Message, limit: usize, failure: Failure) -> Self {
        Self { inner, message, limit, failure }
    }
}

impl<S, B, R> Service<Request<B>> for SizeGuard<S>
where
    S: Service<Request<B>, Response = Response<R>>,
    S::Future: Send + 'static,
    S::Error: 'static,
{
    type Response = Response<GuardedBody<R>>;
    type Error = S::Error;
    type Future = GuardedFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let scan = Scan::new(self.message, self.limit);
        GuardedFuture { inner: self.inner.call(request), watch: Some((scan, self.failure.clone())) }
    }
}

pin_project! {
    /// The response's head.
    pub(super) struct GuardedFuture<F> {
        #[pin]
        inner: F,
        watch: Option<(Scan, Failure)>,
    }
}

impl<F, R, E> Future for GuardedFuture<F>
where
    F: Future<Output = Result<Response<R>, E>>,
{
    type Output = Result<Response<GuardedBody<R>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let response = ready!(this.inner.poll(cx))?;
        let (scan, failure) = this.watch.take().expect("a future is not polled after it is ready");
        Poll::Ready(Ok(response.map(|inner| GuardedBody { inner, scan, failure })))
    }
}

pin_project! {
    /// A response's body.
    pub(super) struct GuardedBody<B> {
        #[pin]
        inner: B,
        scan: Scan,
        failure: Failure,
    }
}

impl<B> Body for GuardedBody<B>
where
    B: Body<Data = Bytes>,
    B::Error: Into<tonic::codegen::StdError>,
{
    type Data = Bytes;
    type Error = tonic::codegen::StdError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let mut this = self.project();
        loop {
            let frame = ready!(this.inner.as_mut().poll_frame(cx));
            let verdict = match frame.as_ref() {
                Some(Ok(frame)) => frame.data_ref().map_or(Verdict::Fine, |data| this.scan.feed(data)),
                Some(Err(_)) => Verdict::Fine,
                None => this.scan.end(),
            };
            match verdict {
                Verdict::Fine => return Poll::Ready(frame.map(|frame| frame.map_err(Into::into))),
                // Held back: the decoder would make room for all of it.
                Verdict::Unclear => {}
                Verdict::TooLarge(error) => {
                    *this.failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(error.clone());
                    return Poll::Ready(Some(Err(error.into())));
                }
            }
        }
    }
}
