//! A request's body on its way out.

use std::error::Error;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use h2::{Reason, SendStream};
use http::HeaderMap;
use tokio::sync::oneshot;

use crate::runtime::connect::SendBody;

/// A request's body on its way out, at the pace of the endpoint.
///
/// A chunk is held back until it is known whether it is the last one, so that a body of one chunk is one frame.
pub(super) struct Upload<B> {
    body: B,
    stream: SendStream<Bytes>,
    held: Option<Bytes>,
    /// From the second chunk on, the next one is fetched only when there is room for it.
    paced: bool,
    read: Read,
    over: bool,
}

/// What has been read of the body, as far as it can be put back.
enum Read {
    Nothing,
    /// One chunk that is not too large to be kept until the response comes.
    Chunk(Bytes),
    More,
}

/// The largest chunk that is kept.
const MAX_KEPT: usize = 64 << 10;

impl Read {
    fn note(&mut self, data: &Bytes) {
        *self = match self {
            Self::Nothing if data.len() <= MAX_KEPT => Self::Chunk(data.clone()),
            _ => Self::More,
        };
    }
}

impl<B> Upload<B> {
    /// Whether there is nothing more to send.
    pub(super) fn is_over(&self) -> bool {
        self.over
    }

    /// The body and what has been read of it; `None` if that cannot be put back.
    pub(super) fn into_unread(self) -> Option<(B, Bytes)> {
        match self.read {
            Read::Nothing => Some((self.body, Bytes::new())),
            Read::Chunk(chunk) => Some((self.body, chunk)),
            Read::More => None,
        }
    }
}

/// How an upload ended.
pub(super) enum Uploaded {
    /// Sent, or no longer wanted: the response tells.
    Done,
    /// The body failed; the call is cancelled.
    Failed(Box<dyn Error + Send + Sync>),
}

impl<B: SendBody> Upload<B> {
    pub(super) fn new(body: B, stream: SendStream<Bytes>) -> Self {
        let over = body.is_end_stream();
        Self { body, stream, held: None, paced: false, read: Read::Nothing, over }
    }

    /// Ready once; after that it [is over](Self::is_over).
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Uploaded> {
        let uploaded = ready!(self.poll_body(cx));
        self.over = true;
        Poll::Ready(uploaded)
    }

    fn poll_body(&mut self, cx: &mut Context<'_>) -> Poll<Uploaded> {
        loop {
            if self.paced && !ready!(self.poll_room(cx)) {
                return Poll::Ready(Uploaded::Done);
            }
            match Pin::new(&mut self.body).poll_frame(cx) {
                Poll::Pending => return self.poll_waiting(cx),
                Poll::Ready(None) => return self.end(),
                Poll::Ready(Some(Err(error))) => {
                    self.stream.send_reset(Reason::CANCEL);
                    return Poll::Ready(Uploaded::Failed(error.into()));
                }
                Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                    Ok(data) => {
                        self.read.note(&data);
                        if !self.hold(data) {
                            return Poll::Ready(Uploaded::Done);
                        }
                        if self.body.is_end_stream() {
                            return self.end();
                        }
                    }
                    Err(frame) => {
                        if let Ok(trailers) = frame.into_trailers() {
                            self.read = Read::More;
                            return self.end_with(trailers);
                        }
                    }
                },
            }
        }
    }

    /// Waits until the endpoint takes more. `false`: it never will.
    fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        self.stream.reserve_capacity(1);
        if self.stream.capacity() > 0 {
            return Poll::Ready(true);
        }
        loop {
            match ready!(self.stream.poll_capacity(cx)) {
                Some(Ok(0)) => {}
                Some(Ok(_)) => return Poll::Ready(true),
                Some(Err(_)) | None => return Poll::Ready(false),
            }
        }
    }

    /// The body has nothing to send now: what is held goes out, and a reset ends it all.
    fn poll_waiting(&mut self, cx: &mut Context<'_>) -> Poll<Uploaded> {
        if !self.release() || self.stream.poll_reset(cx).is_ready() {
            return Poll::Ready(Uploaded::Done);
        }
        Poll::Pending
    }

    /// Holds a chunk and sends the one before it. `false`: the endpoint wants no more.
    fn hold(&mut self, data: Bytes) -> bool {
        if data.is_empty() {
            return true;
        }
        let wanted = self.release();
        self.held = Some(data);
        wanted
    }

    fn release(&mut self) -> bool {
        let Some(data) = self.held.take() else { return true };
        self.paced = true;
        self.stream.send_data(data, false).is_ok()
    }

    // What follows cannot fail but for a stream that has ended already, and then the response tells why.

    fn end(&mut self) -> Poll<Uploaded> {
        let _ = self.stream.send_data(self.held.take().unwrap_or_default(), true);
        Poll::Ready(Uploaded::Done)
    }

    fn end_with(&mut self, trailers: HeaderMap) -> Poll<Uploaded> {
        if self.release() {
            let _ = self.stream.send_trailers(trailers);
        }
        Poll::Ready(Uploaded::Done)
    }
}

/// The rest of an upload after the response has begun: goes on although nobody polls the response, until the
/// response is dropped or has ended.
pub(super) struct Pipe<B> {
    upload: Upload<B>,
    cancelled: oneshot::Receiver<()>,
}

impl<B: SendBody> Pipe<B> {
    /// The pipe, and what ends it by being dropped.
    pub(super) fn new(upload: Upload<B>) -> (Self, oneshot::Sender<()>) {
        let (cancel, cancelled) = oneshot::channel();
        (Self { upload, cancelled }, cancel)
    }
}

impl<B: SendBody> Future for Pipe<B> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if Pin::new(&mut self.cancelled).poll(cx).is_ready() {
            return Poll::Ready(());
        }
        self.upload.poll(cx).map(|_| ())
    }
}
