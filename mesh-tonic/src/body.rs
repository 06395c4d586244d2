//! A response's body.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use tonic::Status;

use crate::protocol::Grpc;
use crate::status;

pin_project! {
    /// A response's messages and trailers. Dropping it before its end cancels the call.
    ///
    /// It ends with DEADLINE_EXCEEDED when the call's deadline has passed, also in the middle of a message.
    ///
    /// The default is a body that has ended, for interceptors that refuse a call.
    #[derive(Debug, Default)]
    pub struct ResponseBody {
        #[pin]
        body: Option<mesh_core::runtime::ResponseBody<Grpc>>,
    }
}

impl ResponseBody {
    pub(crate) fn new(body: mesh_core::runtime::ResponseBody<Grpc>) -> Self {
        Self { body: Some(body) }
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let Some(body) = self.project().body.as_pin_mut() else { return Poll::Ready(None) };
        let frame = ready!(body.poll_frame(cx));
        Poll::Ready(frame.map(|frame| frame.map_err(status::of)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}
