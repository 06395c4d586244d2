//! A request's body on its way out.

use std::collections::VecDeque;
use std::error::Error;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use h2::{Reason, SendStream};
use http::HeaderMap;
use http_body::Frame;
use tokio::sync::oneshot;

use crate::runtime::ReplayRoom;
use crate::runtime::connect::{SendBody, UnreadBody};

/// A request's body on its way out, at the pace of the endpoint.
///
/// A chunk is held back until it is known whether it is the last one, so that a body of one chunk is one frame. A large
/// one goes out in pieces: h2 is given what the endpoint takes.
pub(super) struct Upload<B> {
    body: B,
    stream: SendStream<Bytes>,
    held: Bytes,
    /// From the second piece on, there has to be room for the next one.
    paced: bool,
    read: Read,
    room: ReplayRoom,
    /// What ends the request, once it is known.
    last: Option<Last>,
    over: bool,
}

/// What has been read of the body, to be put back if the endpoint does not process the call.
///
/// The last chunk needs no room as long as some of it is held: until then it is in memory anyway.
enum Read {
    Nothing,
    Chunk(Bytes),
    Chunks(VecDeque<Bytes>),
    /// More than may be kept.
    Gone,
}

enum Last {
    Data,
    Trailers(HeaderMap),
}

/// The largest piece that is sent at once.
const MAX_PIECE: usize = 64 << 10;

impl Read {
    fn note(&mut self, data: &Bytes) {
        match self {
            Self::Nothing => *self = Self::Chunk(data.clone()),
            Self::Chunk(first) => {
                *self = Self::Chunks(VecDeque::from([std::mem::take(first), data.clone()]));
            }
            Self::Chunks(chunks) => chunks.push_back(data.clone()),
            Self::Gone => {}
        }
    }

    /// All of the last chunk has been sent: from now on it takes room (RT-43).
    fn on_sent(&mut self, room: &mut ReplayRoom) {
        let last = match self {
            Self::Chunk(chunk) => Some(&*chunk),
            Self::Chunks(chunks) => chunks.back(),
            Self::Nothing | Self::Gone => None,
        };
        if let Some(last) = last
            && !room.take(last.len())
        {
            self.release(room);
        }
    }

    /// Nothing is put back any more.
    fn release(&mut self, room: &mut ReplayRoom) {
        *self = Self::Gone;
        *room = ReplayRoom::default();
    }
}

impl<B> Upload<B> {
    /// Whether there is nothing more to send.
    pub(super) fn is_over(&self) -> bool {
        self.over
    }

    /// The body and what has been read of it; `None` if that cannot be put back.
    pub(super) fn into_unread(self) -> Option<UnreadBody<B>> {
        let read = match self.read {
            Read::Nothing => VecDeque::new(),
            Read::Chunk(chunk) => VecDeque::from([chunk]),
            Read::Chunks(chunks) => chunks,
            Read::Gone => return None,
        };
        Some(UnreadBody { read, rest: self.last.is_none().then_some(self.body) })
    }
}

/// How an upload ended.
pub(super) enum Uploaded {
    /// Sent, or no longer wanted: the response tells.
    Done,
    /// The body failed: the call is to be cancelled.
    Failed(Box<dyn Error + Send + Sync>),
}

impl<B: SendBody> Upload<B> {
    pub(super) fn new(body: B, stream: SendStream<Bytes>, room: ReplayRoom) -> Self {
        let over = body.is_end_stream();
        let last = over.then_some(Last::Data);
        Self { body, stream, held: Bytes::new(), paced: false, read: Read::Nothing, room, last, over }
    }

    /// Ready once; after that it [is over](Self::is_over).
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Uploaded> {
        let uploaded = ready!(self.poll_body(cx));
        self.over = true;
        Poll::Ready(uploaded)
    }

    fn poll_body(&mut self, cx: &mut Context<'_>) -> Poll<Uploaded> {
        loop {
            if !ready!(self.poll_pieces(cx)) {
                return Poll::Ready(Uploaded::Done);
            }
            if let Some(last) = self.last.take() {
                return self.end_with(last);
            }
            if self.paced && ready!(self.poll_room(cx)).is_none() {
                return Poll::Ready(Uploaded::Done);
            }
            match Pin::new(&mut self.body).poll_frame(cx) {
                Poll::Pending => return self.poll_waiting(cx),
                Poll::Ready(None) => self.last = Some(Last::Data),
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Uploaded::Failed(error.into())),
                Poll::Ready(Some(Ok(frame))) => {
                    if !self.take(frame) {
                        return Poll::Ready(Uploaded::Done);
                    }
                }
            }
        }
    }

    /// Holds a chunk and sends the one before it. `false`: the endpoint wants no more.
    fn take(&mut self, frame: Frame<Bytes>) -> bool {
        match frame.into_data() {
            Ok(data) if data.is_empty() => {}
            Ok(data) => {
                if !self.release() {
                    return false;
                }
                self.read.note(&data);
                self.held = data;
            }
            Err(frame) => {
                if let Ok(trailers) = frame.into_trailers() {
                    self.read.release(&mut self.room);
                    self.last = Some(Last::Trailers(trailers));
                    return true;
                }
            }
        }
        if self.body.is_end_stream() {
            self.last = Some(Last::Data);
        }
        true
    }

    /// Sends what is held beyond one piece. `false`: the endpoint wants no more.
    fn poll_pieces(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        while self.held.len() > MAX_PIECE {
            let room = if self.paced { ready!(self.poll_room(cx)) } else { Some(MAX_PIECE) };
            let Some(room) = room else { return Poll::Ready(false) };
            let piece = self.held.split_to(room.min(self.held.len()));
            self.paced = true;
            if self.stream.send_data(piece, false).is_err() {
                return Poll::Ready(false);
            }
        }
        Poll::Ready(true)
    }

    /// Waits until the endpoint takes more. `None`: it never will.
    fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<Option<usize>> {
        self.stream.reserve_capacity(self.held.len().clamp(1, MAX_PIECE));
        if self.stream.capacity() > 0 {
            return Poll::Ready(Some(self.stream.capacity()));
        }
        loop {
            match ready!(self.stream.poll_capacity(cx)) {
                Some(Ok(0)) => {}
                Some(Ok(room)) => return Poll::Ready(Some(room)),
                Some(Err(_)) | None => return Poll::Ready(None),
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

    /// Sends what is held, which is one piece at most.
    fn release(&mut self) -> bool {
        if self.held.is_empty() {
            return true;
        }
        self.paced = true;
        self.read.on_sent(&mut self.room);
        self.stream.send_data(std::mem::take(&mut self.held), false).is_ok()
    }

    /// What this sends cannot fail but for a stream that has ended already, and then the response tells why.
    fn end_with(&mut self, last: Last) -> Poll<Uploaded> {
        match last {
            Last::Data => {
                if !self.held.is_empty() {
                    self.read.on_sent(&mut self.room);
                }
                let _ = self.stream.send_data(std::mem::take(&mut self.held), true);
            }
            Last::Trailers(trailers) => {
                if self.release() {
                    let _ = self.stream.send_trailers(trailers);
                }
            }
        }
        // The body is not to be polled again.
        self.last = Some(Last::Data);
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
    pub(super) fn new(mut upload: Upload<B>) -> (Self, oneshot::Sender<()>) {
        upload.read.release(&mut upload.room);
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
        let uploaded = ready!(self.upload.poll(cx));
        if let Uploaded::Failed(_) = uploaded {
            self.upload.stream.send_reset(Reason::CANCEL);
        }
        Poll::Ready(())
    }
}
