//! A response's body.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use mesh_core::runtime::connect::Http2Body;
use pin_project_lite::pin_project;
use tonic::Status;

use crate::status;

pin_project! {
    /// A response's messages and trailers. Dropping it before its end cancels the call.
    ///
    /// It ends with DEADLINE_EXCEEDED when the call's time is over, however much of it has come.
    #[derive(Debug)]
    pub struct ResponseBody {
        #[pin]
        body: mesh_core::runtime::ResponseBody<Http2Body>,
    }
}

impl ResponseBody {
    pub(crate) fn new(body: mesh_core::runtime::ResponseBody<Http2Body>) -> Self {
        Self { body }
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let frame = ready!(self.project().body.poll_frame(cx));
        Poll::Ready(frame.map(|frame| frame.map_err(status::of)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
