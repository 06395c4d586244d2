//! A response's body, with what its call occupies.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use tokio::time::Instant;

use super::attempt::Attempt;
use super::connect::BodyError;
use super::timeout::Timer;
use super::{MeshError, MeshErrorKind};

pin_project! {
    /// A response's body. The call's places in its cluster and at its endpoint are kept until the trailers, the end, an
    /// error, the deadline, or until it is dropped.
    #[derive(Debug)]
    pub struct ResponseBody<T> {
        #[pin]
        body: Option<T>,
        attempt: Option<Attempt>,
        deadline: Option<Instant>,
        #[pin]
        timer: Timer,
    }
}

impl<T: Body> ResponseBody<T> {
    pub(super) fn new(body: T, attempt: Option<Attempt>, deadline: Option<Instant>) -> Self {
        let attempt = attempt.filter(|_| !body.is_end_stream());
        Self { body: Some(body), attempt, deadline, timer: Timer::default() }
    }
}

impl<T: Body<Data = Bytes, Error = BodyError>> Body for ResponseBody<T> {
    type Data = Bytes;
    type Error = MeshError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, MeshError>>> {
        let mut this = self.project();
        let Some(mut body) = this.body.as_mut().as_pin_mut() else { return Poll::Ready(None) };
        let is_overdue = this.deadline.is_some_and(|deadline| deadline <= Instant::now());
        match if is_overdue { Poll::Pending } else { body.as_mut().poll_frame(cx) } {
            Poll::Ready(Some(Ok(frame))) => {
                if let Some(attempt) = this.attempt {
                    attempt.on_frame(frame.trailers_ref(), &*body);
                }
                if frame.is_trailers() {
                    *this.attempt = None;
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(error))) => {
                let broken = MeshError::new(MeshErrorKind::ResponseBody, "the response broke off");
                let error = at_endpoint(broken, this.attempt.take()).caused_by(error.h2_code(), error);
                Poll::Ready(Some(Err(error)))
            }
            Poll::Ready(None) => {
                if let Some(mut attempt) = this.attempt.take() {
                    attempt.on_end();
                }
                Poll::Ready(None)
            }
            Poll::Pending if is_overdue || this.timer.as_mut().poll_passed(cx, *this.deadline).is_ready() => {
                this.body.set(None);
                let overdue = MeshError::new(
                    MeshErrorKind::DeadlineExceeded,
                    "deadline exceeded before the end of the response",
                );
                Poll::Ready(Some(Err(at_endpoint(overdue, this.attempt.take()))))
            }
            Poll::Pending => Poll::Pending,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}

fn at_endpoint(error: MeshError, attempt: Option<Attempt>) -> MeshError {
    match attempt {
        Some(attempt) => error.in_cluster(attempt.cluster()).at(attempt.endpoint.address),
        None => error,
    }
}
