//! Copies of a request's body, made while the body is sent.

use std::collections::VecDeque;
use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use crate::runtime::ReplayRoom;

/// The copies of a request's body that mirrors send; they grow while the body is read.
///
/// Dropped before the body's end, the copies fail: a mirror never gets a part of a request as if it were the whole.
#[derive(Debug)]
pub(crate) struct Taps(Vec<Arc<Copied>>);

/// A copy of a request's body.
pub(crate) struct MirrorBody(Arc<Copied>);

/// A mirrored request cannot be sent whole.
#[derive(Debug, thiserror::Error)]
#[error("the mirrored request ended early, or was too far behind")]
pub(crate) struct MirrorCut;

struct Copied(Mutex<CopyState>);

struct CopyState {
    /// What has been read of the body, and not sent to the mirror yet.
    frames: VecDeque<Copy>,
    /// Where `frames` are counted.
    room: ReplayRoom,
    end: End,
    waker: Option<Waker>,
}

#[derive(Debug)]
enum Copy {
    Data(Bytes),
    Trailers(Box<HeaderMap>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Open,
    Complete,
    Cut,
}

impl Taps {
    /// Without a copy.
    pub(crate) fn new() -> Self {
        Self(Vec::new())
    }

    /// Adds a copy, which keeps what `room` has room for.
    pub(crate) fn add(&mut self, room: ReplayRoom) -> MirrorBody {
        let state = CopyState { frames: VecDeque::new(), room, end: End::Open, waker: None };
        let copied = Arc::new(Copied(Mutex::new(state)));
        self.0.push(copied.clone());
        MirrorBody(copied)
    }

    fn see<E>(&self, frame: Option<&Result<Frame<Bytes>, E>>) {
        for copied in &self.0 {
            copied.change(|state| match frame {
                Some(Ok(frame)) => state.push(frame),
                Some(Err(_)) => state.end(End::Cut),
                None => state.end(End::Complete),
            });
        }
    }

    fn complete(&self) {
        self.0.iter().for_each(|copied| copied.change(|state| state.end(End::Complete)));
    }
}

impl Drop for Taps {
    fn drop(&mut self) {
        self.0.iter().for_each(|copied| copied.change(|state| state.end(End::Cut)));
    }
}

impl Copied {
    /// Changes the state, then wakes the mirror, without the lock.
    fn change(&self, change: impl FnOnce(&mut CopyState)) {
        let mut state = self.lock();
        change(&mut state);
        let waker = state.waker.take();
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    fn lock(&self) -> MutexGuard<'_, CopyState> {
        // Nothing that holds the lock can panic half way.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl CopyState {
    /// C58: a mirror that is too slow for its room is given up, and the call goes on.
    fn push(&mut self, frame: &Frame<Bytes>) {
        if self.end != End::Open {
            return;
        }
        let copy = match (frame.data_ref(), frame.trailers_ref()) {
            (Some(data), _) => Copy::Data(data.clone()),
            (None, Some(trailers)) => Copy::Trailers(Box::new(trailers.clone())),
            (None, None) => return,
        };
        if self.room.take(copy.len()) {
            self.frames.push_back(copy);
        } else {
            self.end(End::Cut);
        }
    }

    /// Only the first end counts.
    fn end(&mut self, end: End) {
        if self.end != End::Open {
            return;
        }
        self.end = end;
        if end == End::Cut {
            self.clear();
        }
    }

    fn clear(&mut self) {
        self.frames.clear();
        self.room.give_back(usize::MAX);
    }
}

impl Copy {
    fn len(&self) -> usize {
        match self {
            Self::Data(data) => data.len(),
            Self::Trailers(_) => 0,
        }
    }
}

impl Body for MirrorBody {
    type Data = Bytes;
    type Error = MirrorCut;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, MirrorCut>>> {
        let mut state = self.0.lock();
        if let Some(copy) = state.frames.pop_front() {
            state.room.give_back(copy.len());
            return Poll::Ready(Some(Ok(match copy {
                Copy::Data(data) => Frame::data(data),
                Copy::Trailers(trailers) => Frame::trailers(*trailers),
            })));
        }
        match state.end {
            End::Open => {
                state.waker = Some(cx.waker().clone());
                Poll::Pending
            }
            End::Complete => Poll::Ready(None),
            End::Cut => Poll::Ready(Some(Err(MirrorCut))),
        }
    }

    fn is_end_stream(&self) -> bool {
        let state = self.0.lock();
        state.frames.is_empty() && state.end == End::Complete
    }
}

impl Drop for MirrorBody {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.end(End::Cut);
        state.clear();
    }
}

impl fmt::Debug for MirrorBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("MirrorBody").field(&self.0).finish()
    }
}

impl fmt::Debug for Copied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.lock();
        f.debug_struct("Copied").field("frames", &state.frames.len()).field("end", &state.end).finish()
    }
}

pin_project! {
    /// A request's body, and the copies of it that mirrors send.
    #[derive(Debug)]
    pub(crate) struct Tapped<B> {
        #[pin]
        body: B,
        taps: Option<Box<Taps>>,
    }
}

impl<B: Body<Data = Bytes>> Tapped<B> {
    /// The body, copied while it is read.
    pub(crate) fn new(body: B, taps: Box<Taps>) -> Self {
        if body.is_end_stream() {
            taps.complete();
        }
        Self { body, taps: Some(taps) }
    }
}

impl<B> From<B> for Tapped<B> {
    fn from(body: B) -> Self {
        Self { body, taps: None }
    }
}

impl<B: Body<Data = Bytes>> Body for Tapped<B> {
    type Data = Bytes;
    type Error = B::Error;

    #[inline]
    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let mut this = self.project();
        let frame = ready!(this.body.as_mut().poll_frame(cx));
        if let Some(taps) = this.taps {
            taps.see(frame.as_ref());
            // a connection that knows the end does not ask for another frame
            if this.body.is_end_stream() {
                taps.complete();
            }
        }
        Poll::Ready(frame)
    }

    #[inline]
    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    #[inline]
    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
