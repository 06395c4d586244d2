//! A response that holds a permit until it has ended.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use tonic::Status;
use tonic::body::Body;

use super::admitter::Permit;

/// A response's body with the permit of its stream.
#[derive(Debug)]
pub(super) struct HeldBody {
    body: Body,
    _permit: Permit,
}

impl HeldBody {
    pub(super) fn new(body: Body, permit: Permit) -> Self {
        Self { body, _permit: permit }
    }
}

impl http_body::Body for HeldBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
