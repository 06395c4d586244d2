//! A request body that is kept while it is sent, so that it can be sent again.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame};
use smallvec::SmallVec;

use super::ReplayRoom;

/// The caller's body and what has been read of it; shared by the attempts of one call.
#[derive(Debug)]
pub(super) struct Replay<B>(Arc<Mutex<Source<B>>>);

/// Which attempts may read the body before the call is committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Readers {
    /// The latest: one attempt follows the other.
    Latest,
    /// All: they run at the same time.
    All,
}

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
    /// The number of the frame that each attempt reads next, of [`Readers::Latest`] only the present one.
    positions: SmallVec<[usize; 2]>,
    /// Where `kept` is counted.
    room: ReplayRoom,
    readers: Readers,
    /// The latest attempt.
    attempt: u32,
    /// Nothing more is kept, and only this attempt can go on.
    committed: Option<u32>,
    /// Attempts that wait for the next frame, of [`Readers::All`].
    waiting: Vec<Waker>,
    /// The task that runs the attempts of [`Readers::All`].
    driver: Option<Waker>,
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
    pub(super) fn new(body: B, room: ReplayRoom, readers: Readers) -> Self {
        Self(Arc::new(Mutex::new(Source {
            body,
            kept: KeptFrames::default(),
            released: 0,
            positions: SmallVec::new(),
            room,
            readers,
            attempt: 0,
            committed: None,
            waiting: Vec::new(),
            driver: None,
            ended: false,
        })))
    }

    /// The body for a further attempt; of [`Readers::Latest`] earlier ones read nothing more. `None` once committed.
    pub(super) fn attempt(&self) -> Option<ReplayBody<B>> {
        let mut source = lock(&self.0);
        if source.committed.is_some() {
            return None;
        }
        source.attempt += 1;
        if source.readers == Readers::Latest {
            source.positions.clear();
        }
        source.positions.push(0);
        Some(ReplayBody { source: self.0.clone(), attempt: source.attempt, next: 0 })
    }

    pub(super) fn is_committed(&self) -> bool {
        lock(&self.0).committed.is_some()
    }

    /// The only attempt that can go on; `None`: the task of `cx` is woken when there is only one.
    pub(super) fn committed_to(&self, cx: &mut Context<'_>) -> Option<u32> {
        let mut source = lock(&self.0);
        if source.committed.is_none()
            && source.driver.as_ref().is_none_or(|driver| !driver.will_wake(cx.waker()))
        {
            source.driver = Some(cx.waker().clone());
        }
        source.committed
    }

    #[cfg(test)]
    pub(super) fn kept_bytes(&self) -> usize {
        lock(&self.0).kept.iter().map(Kept::len).sum()
    }

    /// There will be no further attempt: nothing more is kept, and what the present attempt has read is released.
    pub(super) fn commit(&self) {
        let mut source = lock(&self.0);
        let latest = source.attempt;
        source.commit_to(latest);
    }

    /// There will be no further attempt, and of those that run only this one goes on.
    pub(super) fn commit_to(&self, attempt: u32) {
        lock(&self.0).commit_to(attempt);
    }
}

impl<B: Body<Data = Bytes> + Unpin> ReplayBody<B> {
    pub(super) fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let mut source = lock(&self.source);
        if !source.may_read(self.attempt) {
            return match source.readers {
                Readers::Latest => Poll::Ready(None),
                // its request never looks complete; the attempt is about to be cancelled
                Readers::All => Poll::Pending,
            };
        }
        if let Some(kept) = source.kept.get(self.next - source.released).cloned() {
            source.advance(self.attempt, &mut self.next);
            return Poll::Ready(Some(Ok(kept.into())));
        }
        if source.ended {
            return Poll::Ready(None);
        }
        let Poll::Ready(frame) = Pin::new(&mut source.body).poll_frame(cx) else {
            source.wait(cx);
            return Poll::Pending;
        };
        match &frame {
            Some(Ok(frame)) => {
                source.keep(self.attempt, frame);
                source.advance(self.attempt, &mut self.next);
            }
            Some(Err(_)) => {
                source.commit_to(self.attempt);
                source.ended = true;
            }
            None => source.ended = true,
        }
        let woken = source.take_wakers();
        drop(source);
        woken.into_iter().for_each(Waker::wake);
        Poll::Ready(frame)
    }

    pub(super) fn is_end_stream(&self) -> bool {
        let source = lock(&self.source);
        let everything_read = source.ended || source.body.is_end_stream();
        let kept = source.released + source.kept.len();
        match (source.may_read(self.attempt), source.readers) {
            (true, _) => self.next >= kept && everything_read,
            (false, readers) => readers == Readers::Latest,
        }
    }
}

impl<B> ReplayBody<B> {
    /// The attempt's number.
    pub(super) fn number(&self) -> u32 {
        self.attempt
    }
}

impl<B> Drop for ReplayBody<B> {
    fn drop(&mut self) {
        // The body may know only the waker of this attempt.
        let woken = lock(&self.source).take_wakers();
        woken.into_iter().for_each(Waker::wake);
    }
}

impl<B> Source<B> {
    fn may_read(&self, attempt: u32) -> bool {
        match (self.committed, self.readers) {
            (Some(only), _) => attempt == only,
            (None, Readers::Latest) => attempt == self.attempt,
            (None, Readers::All) => true,
        }
    }

    fn keep(&mut self, attempt: u32, frame: &Frame<Bytes>) {
        if self.committed.is_some() {
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
            self.committed = Some(attempt);
        }
    }

    fn commit_to(&mut self, attempt: u32) {
        self.committed = Some(attempt);
        self.release();
    }

    /// The attempt has read its frame of this number.
    fn advance(&mut self, attempt: u32, next: &mut usize) {
        *next += 1;
        if let Some(position) = self.position(attempt) {
            *position = *next;
        }
        if self.committed.is_some() {
            self.release();
        }
    }

    fn position(&mut self, attempt: u32) -> Option<&mut usize> {
        match self.readers {
            Readers::Latest => self.positions.last_mut(),
            Readers::All => self.positions.get_mut(attempt.checked_sub(1)? as usize),
        }
    }

    /// Drops what the only attempt that goes on has read.
    fn release(&mut self) {
        let Some(only) = self.committed else { return };
        let position = self.position(only).map_or(0, |position| *position);
        while self.released < position
            && let Some(kept) = self.kept.pop_front()
        {
            self.room.give_back(kept.len());
            self.released += 1;
        }
    }

    fn wait(&mut self, cx: &Context<'_>) {
        if self.readers == Readers::All && !self.waiting.iter().any(|waker| waker.will_wake(cx.waker())) {
            self.waiting.push(cx.waker().clone());
        }
    }

    /// Those to wake, without the lock: the attempts that wait for a frame, and the task that runs them once it has to choose.
    fn take_wakers(&mut self) -> Vec<Waker> {
        let mut wakers = std::mem::take(&mut self.waiting);
        if self.committed.is_some() {
            wakers.extend(self.driver.take());
        }
        wakers
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
