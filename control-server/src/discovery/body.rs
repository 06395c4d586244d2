//! The body of a stream's responses: each message in a buffer of its own.
//!
//! A general encoder keeps one buffer per stream, as large as the largest message so far. With thousands of streams that
//! only wait most of the time, that is most of a server's memory.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{BufMut, Bytes, BytesMut};
use http::{HeaderMap, HeaderValue};
use http_body::{Body, Frame};
use tokio::sync::mpsc;
use tonic::Status;

use super::wire::Response;

/// Responses as gRPC messages, and the status as trailers.
#[derive(Debug)]
pub(super) struct ResponseBody {
    responses: mpsc::Receiver<Result<Response, Status>>,
    ended: bool,
}

impl ResponseBody {
    pub(super) fn new(responses: mpsc::Receiver<Result<Response, Status>>) -> Self {
        Self { responses, ended: false }
    }

    /// The response of a call that has been accepted.
    pub(super) fn into_http(self) -> http::Response<tonic::body::Body> {
        let mut response = http::Response::new(tonic::body::Body::new(self));
        let content_type = HeaderValue::from_static("application/grpc");
        response.headers_mut().insert(http::header::CONTENT_TYPE, content_type);
        response
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        let next = ready!(self.responses.poll_recv(cx));
        let message = next.transpose().and_then(|response| response.as_ref().map(framed).transpose());
        Poll::Ready(Some(Ok(match message {
            Ok(Some(message)) => Frame::data(message),
            Ok(None) => self.end(&Status::ok("")),
            Err(status) => self.end(&status),
        })))
    }

    fn is_end_stream(&self) -> bool {
        self.ended
    }
}

impl ResponseBody {
    fn end(&mut self, status: &Status) -> Frame<Bytes> {
        self.ended = true;
        let mut trailers = HeaderMap::new();
        // Only a message that no header can hold fails, and then the code stands alone.
        if status.add_header(&mut trailers).is_err() {
            trailers.insert("grpc-status", HeaderValue::from(status.code() as i32));
        }
        Frame::trailers(trailers)
    }
}

/// A message with its prefix: not compressed, and its length.
fn framed(response: &Response) -> Result<Bytes, Status> {
    let length = response.encoded_len();
    let prefix = u32::try_from(length).map_err(|_| {
        Status::resource_exhausted(format!("a response of {length} bytes is more than gRPC can carry"))
    })?;
    let mut message = BytesMut::with_capacity(PREFIX + length);
    message.put_u8(0);
    message.put_u32(prefix);
    response.encode(&mut message).map_err(|error| Status::internal(error.to_string()))?;
    Ok(message.freeze())
}

const PREFIX: usize = 5;
