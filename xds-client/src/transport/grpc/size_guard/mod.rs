//! Ends a stream at the head of a message that is too large, with an error that names its type.
//!
//! tonic has a limit of its own, but its error has only the size and the limit, as text: neither the type nor the option that
//! raises the limit. A gRPC message begins with five bytes, the last four its length; what the message itself begins with is
//! enough to tell the [`type_url`] of its resources.

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
use crate::transport::TransportError;

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
        Poll::Ready(Ok(response.map(|inner| GuardedBody { inner, scan, failure, error: None })))
    }
}

pin_project! {
    /// A response's body.
    pub(super) struct GuardedBody<B> {
        #[pin]
        inner: B,
        scan: Scan,
        failure: Failure,
        // Reported after the messages before it.
        error: Option<TransportError>,
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
            if let Some(error) = this.error.take() {
                *this.failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(error.clone());
                return Poll::Ready(Some(Err(error.into())));
            }
            let frame = ready!(this.inner.as_mut().poll_frame(cx));
            let data = frame.as_ref().and_then(|frame| frame.as_ref().ok()?.data_ref());
            let (fine, verdict) = match data {
                Some(data) => this.scan.feed(data),
                None if frame.is_none() => (0, this.scan.end()),
                None => (0, Verdict::Fine),
            };
            // Held back: the decoder would make room for all of it. Messages that came with it are not.
            let before = data.map(|data| data.slice(..fine)).filter(|before| !before.is_empty());
            match verdict {
                Verdict::Fine => return Poll::Ready(frame.map(|frame| frame.map_err(Into::into))),
                Verdict::Unclear => {}
                Verdict::TooLarge(error) => *this.error = Some(error),
            }
            if let Some(before) = before {
                return Poll::Ready(Some(Ok(Frame::data(before))));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::pin::pin;
    use std::task::Waker;

    use super::*;

    struct Frames(VecDeque<Vec<u8>>);

    impl Body for Frames {
        type Data = Bytes;
        type Error = tonic::codegen::StdError;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
            Poll::Ready(self.0.pop_front().map(|data| Ok(Frame::data(data.into()))))
        }
    }

    #[test]
    fn messages_that_share_a_frame_with_a_large_one_arrive() {
        let small = [0, 0, 0, 0, 3, 1, 2, 3];
        let large = |bytes: usize| [&[0, 0, 0, 0x20, 0], &vec![0xff; bytes][..]].concat();
        let rows = [
            ("all at once", vec![[&small, &large(2_000)[..]].concat()]),
            ("its beginning", vec![[&small, &large(10)[..]].concat(), vec![0xff; 2_000]]),
            ("and the tail of one before", vec![small[..6].to_vec(), [&small[6..], &large(2_000)].concat()]),
        ];
        for (row, frames) in rows {
            let scan = Scan::new(Message::Sotw, 1_000);
            let mut body = pin!(GuardedBody {
                inner: Frames(frames.into()),
                scan,
                failure: Failure::default(),
                error: None
            });
            let mut arrived = Vec::new();
            let error = loop {
                match body.as_mut().poll_frame(&mut Context::from_waker(Waker::noop())) {
                    Poll::Ready(Some(Ok(frame))) => arrived.extend(frame.into_data().unwrap()),
                    Poll::Ready(Some(Err(error))) => break error.to_string(),
                    other => panic!("{row}: {other:?}"),
                }
            };
            assert_eq!(arrived, small, "{row}");
            assert!(error.contains("has 8192 bytes, more than the limit of 1000"), "{row}: {error}");
            assert!(body.failure.lock().unwrap().is_some(), "{row}");
        }
    }
}
