//! A request body that is kept while it is sent, so that it can be sent again.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame};

use super::ReplayRoom;

/// The caller's body and what has been read of it; shared by the attempts of one call.
#[derive(Debug)]
pub(super) struct Replay<B>(Arc<Mutex<Source<B>>>);

/// One attempt's reading of the shared body.
#[derive(Debug)]
pub(super) struct ReplayBody<B> {
    source: Arc<Mutex<Source<B>>>,
    attempt: u32,
    next: usize,
}

#[derive(Debug)]
struct Source<B> {
    body: B,
    /// Frames from number `released` on.
    kept: KeptFrames,
    released: usize,
    /// The number of the frame that the present attempt reads next.
    position: usize,
    /// Where `kept` is counted.
    room: ReplayRoom,
    /// The attempt that may read.
    attempt: u32,
    /// Nothing more is kept, and only the present attempt can go on.
    committed: bool,
    /// The body has been read to its end.
    ended: bool,
}

/// Frames in their order. One frame, the whole of most requests, needs no allocation.
#[derive(Debug, Default)]
struct KeptFrames {
    /// `None` only if there is no frame at all.
    first: Option<Kept>,
    rest: VecDeque<Kept>,
}

#[derive(Debug, Clone)]
enum Kept {
    Data(Bytes),
    Trailers(Box<HeaderMap>),
}

impl KeptFrames {
    fn push_back(&mut self, frame: Kept) {
        if self.first.is_none() {
            self.first = Some(frame);
        } else {
            self.rest.push_back(frame);
        }
    }

    fn pop_front(&mut self) -> Option<Kept> {
        let next = self.rest.pop_front();
        std::mem::replace(&mut self.first, next)
    }

    fn get(&self, index: usize) -> Option<&Kept> {
        match index.checked_sub(1) {
            None => self.first.as_ref(),
            Some(index) => self.rest.get(index),
        }
    }

    fn len(&self) -> usize {
        usize::from(self.first.is_some()) + self.rest.len()
    }

    #[cfg(test)]
    fn iter(&self) -> impl Iterator<Item = &Kept> {
        self.first.iter().chain(&self.rest)
    }
}

impl<B> Replay<B> {
    pub(super) fn new(body: B, room: ReplayRoom) -> Self {
        Self(Arc::new(Mutex::new(Source {
            body,
            kept: KeptFrames::default(),
            released: 0,
            position: 0,
            room,
            attempt: 0,
            committed: false,
            ended: false,
        })))
    }

    /// The body for a further attempt; earlier ones read nothing more. `None` once committed.
    pub(super) fn attempt(&self) -> Option<ReplayBody<B>> {
        let mut source = lock(&self.0);
        if source.committed {
            return None;
        }
        source.attempt += 1;
        source.position = 0;
        Some(ReplayBody { source: self.0.clone(), attempt: source.attempt, next: 0 })
    }

    pub(super) fn is_committed(&self) -> bool {
        lock(&self.0).committed
    }

    #[cfg(test)]
    pub(super) fn kept_bytes(&self) -> usize {
        lock(&self.0).kept.iter().map(Kept::len).sum()
    }

    /// There will be no further attempt: nothing more is kept, and what the present attempt has read is released.
    pub(super) fn commit(&self) {
        let mut source = lock(&self.0);
        source.committed = true;
        source.release();
    }
}

impl<B: Body<Data = Bytes> + Unpin> ReplayBody<B> {
    pub(super) fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let mut source = lock(&self.source);
        if source.attempt != self.attempt {
            return Poll::Ready(None);
        }
        if let Some(kept) = source.kept.get(self.next - source.released).cloned() {
            source.advance(&mut self.next);
            return Poll::Ready(Some(Ok(kept.into())));
        }
        if source.ended {
            return Poll::Ready(None);
        }
        let frame = ready!(Pin::new(&mut source.body).poll_frame(cx));
        match &frame {
            Some(Ok(frame)) => {
                source.keep(frame);
                source.advance(&mut self.next);
            }
            Some(Err(_)) => (source.committed, source.ended) = (true, true),
            None => source.ended = true,
        }
        Poll::Ready(frame)
    }

    pub(super) fn is_end_stream(&self) -> bool {
        let source = lock(&self.source);
        let everything_read = source.ended || source.body.is_end_stream();
        let kept = source.released + source.kept.len();
        source.attempt != self.attempt || self.next >= kept && everything_read
    }
}

impl<B> Source<B> {
    fn keep(&mut self, frame: &Frame<Bytes>) {
        if self.committed {
            return;
        }
        let kept = match (frame.data_ref(), frame.trailers_ref()) {
            (Some(data), _) => Kept::Data(data.clone()),
            (None, Some(trailers)) => Kept::Trailers(Box::new(trailers.clone())),
            (None, None) => return,
        };
        if self.room.take(kept.len()) {
            self.kept.push_back(kept);
        } else {
            // RT-43
            self.committed = true;
        }
    }
}

impl<B> Source<B> {
    /// The present attempt has read its frame of this number.
    fn advance(&mut self, next: &mut usize) {
        *next += 1;
        self.position = *next;
        if self.committed {
            self.release();
        }
    }

    /// Drops what the present attempt, the last one, has read.
    fn release(&mut self) {
        while self.released < self.position
            && let Some(kept) = self.kept.pop_front()
        {
            self.room.give_back(kept.len());
            self.released += 1;
        }
    }
}

impl Kept {
    fn len(&self) -> usize {
        match self {
            Self::Data(data) => data.len(),
            Self::Trailers(_) => 0,
        }
    }
}

impl From<Kept> for Frame<Bytes> {
    fn from(kept: Kept) -> Self {
        match kept {
            Kept::Data(data) => Self::data(data),
            Kept::Trailers(trailers) => Self::trailers(*trailers),
        }
    }
}

fn lock<B>(source: &Mutex<Source<B>>) -> MutexGuard<'_, Source<B>> {
    source.lock().unwrap_or_else(PoisonError::into_inner)
}
