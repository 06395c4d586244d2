//! Sends a request's body.

use std::error::Error;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use h2::{Reason, SendStream};
use http::HeaderMap;
use http_body::Frame;
use tokio::sync::oneshot;

use crate::runtime::ReplayRoom;
use crate::runtime::connect::{SendBody, UnreadBody};

use super::read::Read;
use super::send_window::SendWindow;
use super::shared::Shared;
use super::task::Visit;

/// Sends a request's body at the pace of the endpoint.
///
/// A chunk is held back until it is known whether it is the last one, so that a body of one chunk is one frame. A large
/// one goes out in pieces: h2 is given what the endpoint takes. A long upload shares the connection's
/// [window](SendWindow) with others; a body of one chunk that is not large does not wait for them.
pub(super) struct Upload<B> {
    body: B,
    stream: SendStream<Bytes>,
    held: Bytes,
    /// The chunk that was read after the held one.
    next: Bytes,
    /// From the second piece on: h2 must have room before the next piece is sent.
    paced: bool,
    /// How many bytes were handed to h2.
    sent: usize,
    read: Read,
    room: ReplayRoom,
    /// The end of the request, once it is known.
    last: Option<Last>,
    over: bool,
}

enum Last {
    Data,
    /// Boxed, because they are rare and an upload is moved with its call.
    Trailers(Box<HeaderMap>),
}

/// The largest piece that is sent at once.
const MAX_PIECE: usize = 64 << 10;

/// An upload of this many bytes or more is long.
const LONG: usize = 16 << 10;

impl<B> Upload<B> {
    /// Whether there is nothing more to send.
    pub(super) fn is_over(&self) -> bool {
        self.over
    }

    /// The body and the data that was read from it; `None` if the data was dropped.
    pub(super) fn into_unread(self) -> Option<UnreadBody<B>> {
        let mut read = self.read.into_chunks()?;
        if !self.next.is_empty() {
            read.push_back(self.next);
        }
        Some(UnreadBody { read, rest: self.last.is_none().then_some(self.body) })
    }
}

/// How an upload ended.
pub(super) enum Uploaded {
    /// Sent, or the endpoint does not need the rest.
    Done,
    /// The body failed: the caller cancels the call.
    Failed(Box<dyn Error + Send + Sync>),
}

impl<B: SendBody> Upload<B> {
    pub(super) fn new(body: B, stream: SendStream<Bytes>, room: ReplayRoom) -> Self {
        let over = body.is_end_stream();
        let last = over.then_some(Last::Data);
        let (held, next) = (Bytes::new(), Bytes::new());
        Self { body, stream, held, next, paced: false, sent: 0, read: Read::Nothing, room, last, over }
    }

    /// Ready once; after that it [is over](Self::is_over).
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, window: &SendWindow) -> Poll<Uploaded> {
        let uploaded = ready!(self.poll_body(cx, window));
        self.over = true;
        Poll::Ready(uploaded)
    }

    fn poll_body(&mut self, cx: &mut Context<'_>, window: &SendWindow) -> Poll<Uploaded> {
        loop {
            if !ready!(self.poll_send(cx, window, MAX_PIECE)) {
                return Poll::Ready(Uploaded::Done);
            }
            if !self.next.is_empty() {
                if !ready!(self.poll_send(cx, window, 0)) {
                    return Poll::Ready(Uploaded::Done);
                }
                let next = std::mem::take(&mut self.next);
                self.hold(next);
                continue;
            }
            if self.last.is_some() {
                return self.poll_end(cx, window);
            }
            if self.paced && ready!(self.poll_capacity(cx)).is_none() {
                return Poll::Ready(Uploaded::Done);
            }
            match Pin::new(&mut self.body).poll_frame(cx) {
                Poll::Pending => return self.poll_waiting(cx, window),
                Poll::Ready(None) => self.last = Some(Last::Data),
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Uploaded::Failed(error.into())),
                Poll::Ready(Some(Ok(frame))) => self.take(frame),
            }
        }
    }

    /// Keeps a frame that was read.
    fn take(&mut self, frame: Frame<Bytes>) {
        match frame.into_data() {
            Ok(data) if data.is_empty() => {}
            Ok(data) if self.held.is_empty() => self.hold(data),
            Ok(data) => self.next = data,
            Err(frame) => {
                if let Ok(trailers) = frame.into_trailers() {
                    self.read.release(&mut self.room);
                    self.last = Some(Last::Trailers(Box::new(trailers)));
                    return;
                }
            }
        }
        if self.body.is_end_stream() {
            self.last = Some(Last::Data);
        }
    }

    fn hold(&mut self, data: Bytes) {
        self.read.note(&data);
        self.held = data;
    }

    /// Sends the held bytes in pieces until at most `left` bytes are held. `false`: the endpoint does not need the rest.
    fn poll_send(&mut self, cx: &mut Context<'_>, window: &SendWindow, left: usize) -> Poll<bool> {
        while self.held.len() > left {
            let size = self.held.len().min(MAX_PIECE);
            let Some(room) = ready!(self.poll_room(cx, window, size)) else { return Poll::Ready(false) };
            let ends = self.ends_with(room);
            let piece = self.held.split_to(room);
            (self.paced, self.sent) = (true, self.sent + room);
            if self.held.is_empty() {
                self.read.on_sent(&mut self.room);
            }
            if self.stream.send_data(piece, ends).is_err() {
                window.give_back(self.id(), room);
                return Poll::Ready(false);
            }
        }
        Poll::Ready(true)
    }

    /// Waits until bytes may be sent, `size` at most. `None`: the endpoint does not need the rest.
    fn poll_room(&mut self, cx: &mut Context<'_>, window: &SendWindow, size: usize) -> Poll<Option<usize>> {
        if self.sent + size <= LONG {
            // h2 queues bytes for which the endpoint has no window yet.
            window.take(self.id(), size);
            return Poll::Ready(Some(size));
        }
        if ready!(self.poll_capacity(cx)).is_none() {
            return Poll::Ready(None);
        }
        let Poll::Ready(taken) = window.poll_take(cx, self.id(), size) else {
            // Other streams can use the capacity meanwhile.
            self.stream.reserve_capacity(0);
            return Poll::Pending;
        };
        self.stream.reserve_capacity(taken);
        let room = self.stream.capacity().min(taken);
        window.give_back(self.id(), taken - room);
        // zero: the stream has just ended
        Poll::Ready((room > 0).then_some(room))
    }

    /// Waits until the endpoint takes at least one byte. `None`: it never will.
    fn poll_capacity(&mut self, cx: &mut Context<'_>) -> Poll<Option<()>> {
        // A larger reservation would block other streams while this one waits.
        self.stream.reserve_capacity(1);
        while self.stream.capacity() == 0 {
            match ready!(self.stream.poll_capacity(cx)) {
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return Poll::Ready(None),
            }
        }
        Poll::Ready(Some(()))
    }

    /// The body has no data now: sends the held bytes, and ends if the stream is reset.
    fn poll_waiting(&mut self, cx: &mut Context<'_>, window: &SendWindow) -> Poll<Uploaded> {
        if !ready!(self.poll_send(cx, window, 0)) || self.stream.poll_reset(cx).is_ready() {
            return Poll::Ready(Uploaded::Done);
        }
        Poll::Pending
    }

    /// Sends the held bytes and ends the request. It fails only if the stream has ended already, and then the response has
    /// the reason.
    fn poll_end(&mut self, cx: &mut Context<'_>, window: &SendWindow) -> Poll<Uploaded> {
        let is_whole_body = !self.paced && matches!(self.last, Some(Last::Data));
        let is_ended = self.ends_with(self.held.len()) && !is_whole_body && !self.held.is_empty();
        if !is_whole_body && !ready!(self.poll_send(cx, window, 0)) {
            return Poll::Ready(Uploaded::Done);
        }
        if !self.held.is_empty() {
            self.read.on_sent(&mut self.room);
        }
        // The body is not to be polled again.
        let _ = match self.last.replace(Last::Data) {
            Some(Last::Trailers(trailers)) => self.stream.send_trailers(*trailers),
            _ if is_ended => Ok(()),
            _ => self.stream.send_data(std::mem::take(&mut self.held), true),
        };
        Poll::Ready(Uploaded::Done)
    }

    /// Whether the request ends with the first `bytes` held bytes.
    fn ends_with(&self, bytes: usize) -> bool {
        bytes == self.held.len() && self.next.is_empty() && matches!(self.last, Some(Last::Data))
    }

    fn id(&self) -> u32 {
        self.stream.stream_id().as_u32()
    }
}

/// The rest of an upload after the response's head: continues even if the response is not polled, until the response is
/// dropped or has ended.
pub(super) struct Pipe<B> {
    /// Set until it has ended.
    upload: Option<Upload<B>>,
    shared: Arc<Shared>,
    cancelled: oneshot::Receiver<()>,
}

impl<B: SendBody> Pipe<B> {
    /// The pipe, and a sender whose drop ends it.
    pub(super) fn new(mut upload: Upload<B>, shared: Arc<Shared>) -> (Self, oneshot::Sender<()>) {
        upload.read.release(&mut upload.room);
        let (cancel, cancelled) = oneshot::channel();
        (Self { upload: Some(upload), shared, cancelled }, cancel)
    }
}

impl<B: SendBody> Future for Pipe<B> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let Self { upload, shared, cancelled } = &mut *self;
        let _visit = Visit::new(shared);
        if let (Some(upload), Poll::Pending) = (upload.as_mut(), Pin::new(cancelled).poll(cx))
            && let Uploaded::Failed(_) = ready!(upload.poll(cx, &shared.send_window))
        {
            upload.stream.send_reset(Reason::CANCEL);
        }
        // Within the visit: the drop of an unfinished upload resets its stream.
        *upload = None;
        Poll::Ready(())
    }
}
