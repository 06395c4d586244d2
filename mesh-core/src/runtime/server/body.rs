//! The body of a server's response, which its filters and its deadline watch.

use std::error::Error;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use tokio::time::Sleep;

use crate::filter::CallFilters;
use crate::runtime::rng::Randomness;

use super::observed::ObservedServing;

pin_project! {
    /// A response's messages and trailers. The default is a body that has ended.
    pub struct ServerBody<B> {
        #[pin]
        body: Option<B>,
        watch: Option<Box<BodyWatch>>,
    }
}

/// What watches a body until its end.
#[derive(Debug, Default)]
pub(super) struct BodyWatch {
    /// Filters that see the trailers.
    pub(super) filters: Option<ServerFilters>,
    /// At this time the body ends as it says.
    pub(super) deadline: Option<(Pin<Box<Sleep>>, DeadlineEnd)>,
    /// `None`: the call is not observed.
    pub(super) observed: Option<Box<ObservedServing>>,
}

/// How a body ends at its deadline.
#[derive(Debug)]
pub(super) enum DeadlineEnd {
    /// With these trailers, which tell the result.
    Trailers(HeaderMap),
    /// By an error, so that the client does not take what it has got for the whole.
    Cut,
}

/// The filters of a call on a server, with the randomness that they draw from.
#[derive(Debug)]
pub(super) struct ServerFilters {
    pub(super) filters: CallFilters,
    pub(super) randomness: Arc<Randomness>,
}

impl ServerFilters {
    pub(super) fn on_response(&mut self, head: &mut http::response::Parts) {
        let Self { filters, randomness } = self;
        randomness.with(|rng| filters.on_response(head, rng));
    }

    pub(super) fn on_trailers(&mut self, trailers: &mut HeaderMap) {
        let Self { filters, randomness } = self;
        randomness.with(|rng| filters.on_trailers(trailers, rng));
    }
}

impl<B> ServerBody<B> {
    pub(super) fn new(body: B, watch: BodyWatch) -> Self {
        let is_watched = watch.filters.is_some() || watch.deadline.is_some();
        Self { body: Some(body), watch: is_watched.then(|| Box::new(watch)) }
    }

    /// The observer of the call learns of the rest of the response.
    pub(super) fn observe(&mut self, mut observed: Box<ObservedServing>)
    where
        B: Body,
    {
        if self.body.as_ref().is_none_or(Body::is_end_stream) {
            observed.on_failure();
        }
        self.watch.get_or_insert_default().observed = Some(observed);
    }
}

impl<B> Default for ServerBody<B> {
    fn default() -> Self {
        Self { body: None, watch: None }
    }
}

impl<B> std::fmt::Debug for ServerBody<B> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ServerBody").field("has_ended", &self.body.is_none()).finish_non_exhaustive()
    }
}

impl<B> Body for ServerBody<B>
where
    B: Body<Data = Bytes>,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    type Data = Bytes;
    type Error = Box<dyn Error + Send + Sync>;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let mut me = self.project();
        let Some(body) = me.body.as_mut().as_pin_mut() else { return Poll::Ready(None) };
        let entered = me.watch.as_ref().and_then(|watch| Some(watch.observed.as_ref()?.enter()));
        let polled = body.poll_frame(cx);
        drop(entered);
        let Some(watch) = me.watch else { return polled.map_err(Into::into) };
        match polled {
            Poll::Ready(Some(Ok(frame))) => {
                let frame = watch.filtered(frame);
                // it is not asked again
                if me.body.as_ref().as_pin_ref().is_some_and(|body| body.is_end_stream()) {
                    watch.on_end();
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(ended) => {
                watch.on_end();
                Poll::Ready(ended.map(|frame| frame.map_err(Into::into)))
            }
            Poll::Pending => {
                let Some((sleep, end)) = &mut watch.deadline else { return Poll::Pending };
                std::task::ready!(sleep.as_mut().poll(cx));
                // the application's body is dropped, and with it what it was about to do
                me.body.set(None);
                Poll::Ready(Some(match std::mem::replace(end, DeadlineEnd::Cut) {
                    DeadlineEnd::Trailers(trailers) => Ok(watch.observed(Frame::trailers(trailers))),
                    DeadlineEnd::Cut => Err("deadline exceeded on the server".into()),
                }))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}

impl BodyWatch {
    fn filtered(&mut self, frame: Frame<Bytes>) -> Frame<Bytes> {
        let frame = match (&mut self.filters, frame.into_trailers()) {
            (Some(filters), Ok(mut trailers)) => {
                filters.on_trailers(&mut trailers);
                Frame::trailers(trailers)
            }
            (None, Ok(trailers)) => Frame::trailers(trailers),
            (_, Err(frame)) => frame,
        };
        self.observed(frame)
    }

    fn observed(&mut self, frame: Frame<Bytes>) -> Frame<Bytes> {
        if let Some(observed) = &mut self.observed {
            observed.on_frame(&frame);
        }
        frame
    }

    /// The application's body has ended, perhaps by an error.
    fn on_end(&mut self) {
        if let Some(observed) = &mut self.observed {
            observed.on_failure();
        }
    }
}
