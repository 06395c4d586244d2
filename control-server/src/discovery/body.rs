//! The body of a stream's responses, piece by piece, as the connection takes them.
//!
//! A general encoder keeps one buffer per stream, as large as the largest message so far. With thousands of streams that
//! only wait most of the time, or that all begin at once, that is most of a server's memory.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{BufMut, Bytes, BytesMut};
use http::{HeaderMap, HeaderValue};
use http_body::{Body, Frame};
use tokio::sync::mpsc;
use tonic::Status;

use super::pieces::Pieces;
use super::wire::Response;

/// Responses as gRPC messages, and the status as trailers.
#[derive(Debug)]
pub(super) struct ResponseBody {
    responses: mpsc::Receiver<Result<Response, Status>>,
    /// The message that is being written.
    message: Option<Pieces>,
    /// What follows the piece that was written last.
    shared: Option<Bytes>,
    ended: bool,
}

impl ResponseBody {
    pub(super) fn new(responses: mpsc::Receiver<Result<Response, Status>>) -> Self {
        Self { responses, message: None, shared: None, ended: false }
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
        if let Some(shared) = self.shared.take() {
            return Poll::Ready(Some(Ok(Frame::data(shared))));
        }
        if let Some(message) = self.message.take() {
            return Poll::Ready(Some(Ok(self.go_on(message, None))));
        }
        Poll::Ready(Some(Ok(match ready!(self.responses.poll_recv(cx)) {
            Some(Ok(response)) => self.begin(response),
            Some(Err(status)) => self.end(&status),
            None => self.end(&Status::ok("")),
        })))
    }

    fn is_end_stream(&self) -> bool {
        self.ended
    }
}

impl ResponseBody {
    /// A message has a prefix: not compressed, and its length.
    fn begin(&mut self, response: Response) -> Frame<Bytes> {
        let message = Pieces::new(response);
        let length = message.left();
        let Ok(prefix) = u32::try_from(length) else {
            let text = format!("a response of {length} bytes is more than gRPC can carry");
            return self.end(&Status::resource_exhausted(text));
        };
        self.go_on(message, Some(prefix))
    }

    fn go_on(&mut self, mut message: Pieces, prefix: Option<u32>) -> Frame<Bytes> {
        let mut buffer = BytesMut::with_capacity(PREFIX + message.room());
        if let Some(prefix) = prefix {
            buffer.put_u8(0);
            buffer.put_u32(prefix);
        }
        match message.put(&mut buffer) {
            Ok(shared) => self.shared = shared,
            Err(error) => return self.end(&Status::internal(error.to_string())),
        }
        self.message = (message.left() > 0).then_some(message);
        Frame::data(buffer.freeze())
    }

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

const PREFIX: usize = 5;
