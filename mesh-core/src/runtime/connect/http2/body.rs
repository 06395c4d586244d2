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
use super::error::{body_error, trailers_error};
use super::headers::fields_size;

/// A response's body, at the reader's pace. Dropping it before its end cancels the call.
#[derive(Debug)]
pub struct Http2Body {
    stream: RecvStream,
    phase: Phase,
    /// The rest of the content length, if the head has one.
    length: Option<u64>,
    /// Dropping it ends the upload of the request's body.
    upload: Option<oneshot::Sender<()>>,
    /// Set until the response has ended.
    place: Option<Http2Place>,
    /// How many DATA frames have been read.
    read: u32,
    /// The shared count of read frames, once the connection's task watches it.
    watched: Option<Arc<AtomicU32>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Data,
    Trailers,
    Ended,
}

impl Http2Body {
    pub(super) fn new(
        head: &http::response::Parts,
        stream: RecvStream,
        upload: Option<oneshot::Sender<()>>,
        place: Http2Place,
    ) -> Self {
        let length = head.headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
        let mut body =
            Self { stream, phase: Phase::Data, length, upload, place: Some(place), read: 0, watched: None };
        if body.stream.is_end_stream() {
            body.end();
        }
        body
    }

    fn end(&mut self) {
        self.phase = Phase::Ended;
        self.upload = None;
        self.place = None;
    }

    fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BodyError>>> {
        match ready!(self.stream.poll_data(cx)) {
            Some(Ok(data)) => {
                // The reader has the data, so the endpoint may send more. An error means that the stream has ended.
                let _ = self.stream.flow_control().release_capacity(data.len());
                self.note_read();
                self.length = self.length.map(|length| length.saturating_sub(data.len() as u64));
                if self.stream.is_end_stream() {
                    self.end();
                }
                Poll::Ready(Some(Ok(data)))
            }
            // RFC 9113 section 8.1: the response is complete, and the endpoint does not need the rest of the request.
            Some(Err(error)) if error.is_reset() && error.reason() == Some(Reason::NO_ERROR) => {
                Poll::Ready(None)
            }
            Some(Err(error)) => Poll::Ready(Some(Err(self.failure(error)))),
            None => Poll::Ready(None),
        }
    }

    fn note_read(&mut self) {
        self.read = self.read.wrapping_add(1);
        if self.watched.is_none()
            && let Some(place) = &self.place
            && place.connection().shared().unread.is_watching()
        {
            self.watched = place.connection().shared().unread.find(self.stream.stream_id().as_u32());
        }
        if let Some(watched) = &self.watched {
            watched.store(self.read, Ordering::Relaxed);
        }
    }

    fn failure(&self, error: h2::Error) -> BodyError {
        match &self.place {
            Some(place) => body_error(error, self.stream.stream_id().as_u32(), place.connection()),
            None => BodyError::new(None, error),
        }
    }

    /// The trailers as a frame, or an error if they exceed the limit.
    fn trailers(&self, trailers: HeaderMap) -> Result<Frame<Bytes>, BodyError> {
        let limit = self.place.as_ref().map(|place| place.connection().settings().max_header_list);
        let size = fields_size(&trailers);
        match limit {
            Some(limit) if size > limit as usize => Err(trailers_error(size, limit)),
            _ => Ok(Frame::trailers(trailers)),
        }
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
        if me.phase == Phase::Data {
            match ready!(me.poll_data(cx)) {
                Some(Ok(data)) => return Poll::Ready(Some(Ok(Frame::data(data)))),
                Some(Err(error)) => {
                    me.end();
                    return Poll::Ready(Some(Err(error)));
                }
                None => me.phase = Phase::Trailers,
            }
        }
        if me.phase == Phase::Trailers {
            let trailers = match ready!(me.stream.poll_trailers(cx)) {
                Ok(trailers) => trailers.map(|trailers| me.trailers(trailers)),
                Err(error) if error.is_reset() && error.reason() == Some(Reason::NO_ERROR) => None,
                Err(error) => Some(Err(me.failure(error))),
            };
            me.end();
            return Poll::Ready(trailers);
        }
        Poll::Ready(None)
    }

    /// The state after the last frame: asking h2 would cost a lock.
    fn is_end_stream(&self) -> bool {
        self.phase == Phase::Ended
    }

    fn size_hint(&self) -> SizeHint {
        match (self.is_end_stream(), self.length) {
            (true, _) => SizeHint::with_exact(0),
            (false, Some(length)) => SizeHint::with_exact(length),
            (false, None) => SizeHint::default(),
        }
    }
}
