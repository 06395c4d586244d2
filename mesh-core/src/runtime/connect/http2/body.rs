//! A response's body.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use h2::{Reason, RecvStream};
use http::HeaderMap;
use http::header::CONTENT_LENGTH;
use http_body::{Body, Frame, SizeHint};
use tokio::sync::oneshot;

use crate::runtime::connect::BodyError;

use super::Http2Place;
use super::connection::Holds;
use super::error::{body_error, trailers_error};
use super::headers::fields_size;
use super::task::Visit;

/// A response's body, at the reader's pace. Dropping it before its end cancels the call.
#[derive(Debug)]
pub struct Http2Body {
    /// Set until the response has ended.
    open: Option<Open>,
    /// All data has been read.
    has_data: bool,
    /// The rest of the content length, if the head has one.
    length: Option<u64>,
    /// Dropping it ends the upload of the request's body.
    upload: Option<oneshot::Sender<()>>,
    /// How many DATA frames have been read.
    read: u32,
    /// The shared count of read frames, once the connection's task watches it.
    watched: Option<Arc<AtomicU32>>,
}

/// A stream whose response has not ended.
#[derive(Debug)]
struct Open {
    stream: RecvStream,
    /// Dropped after the stream: it wakes the connection's task.
    place: Http2Place,
}

/// A step of reading a response.
enum Step {
    Frame(Frame<Bytes>),
    /// The last frame, or none.
    End(Option<Frame<Bytes>>),
    Failed(BodyError),
}

impl Http2Body {
    pub(super) fn new(
        head: &http::response::Parts,
        stream: RecvStream,
        upload: Option<oneshot::Sender<()>>,
        place: Http2Place,
    ) -> Self {
        let length = head.headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
        let open = Open { stream, place };
        let mut body = Self { open: None, has_data: true, length, upload, read: 0, watched: None };
        if open.stream.is_end_stream() {
            body.end(open);
        } else {
            body.open = Some(open);
        }
        body
    }

    /// The response has ended completely.
    fn end(&mut self, open: Open) {
        let Open { stream, mut place } = open;
        if self.upload.take().is_none() {
            Visit::new(place.connection().shared()).drop_ended(stream);
            place.set_holds(Holds::Ended);
        }
    }

    fn poll_step(&mut self, cx: &mut Context<'_>, open: &mut Open) -> Poll<Step> {
        let Open { stream, place } = open;
        let _visit = Visit::new(place.connection().shared());
        if self.has_data {
            match ready!(self.poll_data(cx, stream, place)) {
                Some(Ok(data)) if stream.is_end_stream() => {
                    return Poll::Ready(Step::End(Some(Frame::data(data))));
                }
                Some(Ok(data)) => return Poll::Ready(Step::Frame(Frame::data(data))),
                Some(Err(error)) => return Poll::Ready(Step::Failed(error)),
                None => self.has_data = false,
            }
        }
        Poll::Ready(match ready!(stream.poll_trailers(cx)) {
            Ok(Some(trailers)) => last(trailers, place),
            Ok(None) => Step::End(None),
            Err(error) if is_complete(&error) => Step::End(None),
            Err(error) => Step::Failed(failure(error, stream, place)),
        })
    }

    fn poll_data(
        &mut self,
        cx: &mut Context<'_>,
        stream: &mut RecvStream,
        place: &Http2Place,
    ) -> Poll<Option<Result<Bytes, BodyError>>> {
        match ready!(stream.poll_data(cx)) {
            Some(Ok(data)) => {
                // The reader has the data, so the endpoint may send more. An error means that the stream has ended.
                let _ = stream.flow_control().release_capacity(data.len());
                self.note_read(stream, place);
                self.length = self.length.map(|length| length.saturating_sub(data.len() as u64));
                Poll::Ready(Some(Ok(data)))
            }
            Some(Err(error)) if is_complete(&error) => Poll::Ready(None),
            Some(Err(error)) => Poll::Ready(Some(Err(failure(error, stream, place)))),
            None => Poll::Ready(None),
        }
    }

    fn note_read(&mut self, stream: &RecvStream, place: &Http2Place) {
        self.read = self.read.wrapping_add(1);
        let unread = &place.connection().shared().unread;
        if self.watched.is_none() && unread.is_watching() {
            self.watched = unread.find(stream.stream_id().as_u32());
        }
        if let Some(watched) = &self.watched {
            watched.store(self.read, Ordering::Relaxed);
        }
    }
}

/// RFC 9113 section 8.1: the response is complete, and the endpoint does not need the rest of the request.
fn is_complete(error: &h2::Error) -> bool {
    error.is_reset() && error.reason() == Some(Reason::NO_ERROR)
}

fn failure(error: h2::Error, stream: &RecvStream, place: &Http2Place) -> BodyError {
    body_error(error, stream.stream_id().as_u32(), place.connection())
}

/// The trailers as the last frame, or an error if they exceed the limit.
fn last(trailers: HeaderMap, place: &Http2Place) -> Step {
    let limit = place.connection().settings().max_header_list;
    let size = fields_size(&trailers);
    if size > limit as usize {
        Step::Failed(trailers_error(size, limit))
    } else {
        Step::End(Some(Frame::trailers(trailers)))
    }
}

impl Body for Http2Body {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let me = &mut *self;
        let Some(mut open) = me.open.take() else { return Poll::Ready(None) };
        let step = me.poll_step(cx, &mut open);
        match step {
            Poll::Pending => {
                me.open = Some(open);
                Poll::Pending
            }
            Poll::Ready(Step::Frame(frame)) => {
                me.open = Some(open);
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Step::End(frame)) => {
                me.end(open);
                Poll::Ready(frame.map(Ok))
            }
            Poll::Ready(Step::Failed(error)) => {
                me.upload = None;
                Poll::Ready(Some(Err(error)))
            }
        }
    }

    /// The state after the last frame: asking h2 would cost a lock.
    fn is_end_stream(&self) -> bool {
        self.open.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        match (self.is_end_stream(), self.length) {
            (true, _) => SizeHint::with_exact(0),
            (false, Some(length)) => SizeHint::with_exact(length),
            (false, None) => SizeHint::default(),
        }
    }
}
