//! How far the readers of responses are behind.
//!
//! A stream's window bounds the bytes that wait for its reader, but a frame costs memory of its own, however small it is.
//! The connection's task counts the frames that arrive; once a stream has had many, its reader counts those that it has
//! read, and a stream whose reader is too far behind is reset.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What the connection's task and the readers of its responses have in common.
#[derive(Debug, Default)]
pub(super) struct Unread {
    /// How many streams are watched; while there is none, readers look no further.
    watched: AtomicUsize,
    streams: Mutex<Streams>,
}

#[derive(Debug, Default)]
struct Streams {
    /// The frames that the readers of watched streams have read.
    read: HashMap<u32, Arc<AtomicU32>>,
    /// Streams that were reset for being too far behind; the last few.
    reset: VecDeque<u32>,
}

impl Unread {
    /// Watches the reader of a stream from now on. Until it reads again, it counts as having read nothing.
    pub(super) fn watch(&self, stream: u32) -> Arc<AtomicU32> {
        let mut streams = self.lock();
        let read = streams.read.entry(stream).or_default().clone();
        self.watched.store(streams.read.len(), Ordering::Relaxed);
        read
    }

    /// The stream has ended.
    pub(super) fn forget(&self, stream: u32) {
        let mut streams = self.lock();
        streams.read.remove(&stream);
        self.watched.store(streams.read.len(), Ordering::Relaxed);
    }

    /// The stream is reset because its reader is too far behind.
    pub(super) fn on_reset(&self, stream: u32) {
        let mut streams = self.lock();
        if streams.reset.len() == MAX_RESET {
            streams.reset.pop_front();
        }
        streams.reset.push_back(stream);
    }

    pub(super) fn was_reset(&self, stream: u32) -> bool {
        self.lock().reset.contains(&stream)
    }

    pub(super) fn is_watching(&self) -> bool {
        self.watched.load(Ordering::Relaxed) > 0
    }

    /// Where the reader of this stream notes how many frames it has read, if it is watched.
    pub(super) fn find(&self, stream: u32) -> Option<Arc<AtomicU32>> {
        self.lock().read.get(&stream).cloned()
    }

    fn lock(&self) -> MutexGuard<'_, Streams> {
        // Each change is one insertion or removal.
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// For so many streams a reader learns why its stream was reset, however late it reads.
const MAX_RESET: usize = 1_024;

/// A stream is watched from so many frames on: nearly none ever is.
pub(super) const WATCHED_FROM: u32 = 1_024;
