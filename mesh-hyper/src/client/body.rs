//! The bodies of requests and responses.

use std::error::Error;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use http_body::{Body, Frame, SizeHint};
use mesh_core::runtime::MeshError;
use pin_project_lite::pin_project;

use super::protocol::Http;

type BoxError = Box<dyn Error + Send + Sync>;

/// A request's body of any type: one type of calls serves all bodies, for one box per body that is not empty.
pub(crate) struct SentBody(Option<Pin<Box<dyn Body<Data = Bytes, Error = BoxError> + Send>>>);

impl SentBody {
    pub(super) fn new<B>(body: B) -> Self
    where
        B: Body<Error: Into<BoxError>> + Send + 'static,
    {
        Self((!body.is_end_stream()).then(|| Box::pin(Adapted { body }) as _))
    }
}

impl Body for SentBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match &mut self.0 {
            Some(body) => body.as_mut().poll_frame(cx),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.0.as_ref().is_none_or(|body| body.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        self.0.as_ref().map_or_else(|| SizeHint::with_exact(0), |body| body.size_hint())
    }
}

impl fmt::Debug for SentBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SentBody").field("size", &self.size_hint()).finish()
    }
}

pin_project! {
    /// A body whose data become bytes; those that are bytes are not copied.
    struct Adapted<B> {
        #[pin]
        body: B,
    }
}

impl<B: Body<Error: Into<BoxError>>> Body for Adapted<B> {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let frame = ready!(self.project().body.poll_frame(cx));
        let to_bytes = |mut data: B::Data| data.copy_to_bytes(data.remaining());
        Poll::Ready(frame.map(|frame| frame.map(|frame| frame.map_data(to_bytes)).map_err(Into::into)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

pin_project! {
    /// A response's data and trailers. Dropping it before its end cancels the request.
    ///
    /// It ends with an error when the deadline has passed. The default is a body that has ended.
    #[derive(Debug, Default)]
    pub struct ResponseBody {
        #[pin]
        body: Option<mesh_core::runtime::ResponseBody<Http>>,
    }
}

impl ResponseBody {
    pub(super) fn new(body: mesh_core::runtime::ResponseBody<Http>) -> Self {
        Self { body: Some(body) }
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = MeshError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, MeshError>>> {
        match self.project().body.as_pin_mut() {
            Some(body) => body.poll_frame(cx),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}
