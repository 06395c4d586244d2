//! The unread frames of responses.
//!
//! A stream's window limits the bytes that wait for its reader, but each frame costs memory of its own, even a small one.
//! The connection's task counts the frames that arrive; once a stream has had many, its reader counts the frames that it
//! reads, and a stream with too many unread frames is reset.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The counts that the connection's task and the readers of its responses share.
#[derive(Debug, Default)]
pub(super) struct Unread {
    /// How many streams are watched; while it is zero, readers do not search the map.
    watched: AtomicUsize,
    streams: Mutex<Streams>,
}

#[derive(Debug, Default)]
struct Streams {
    /// The frames that the readers of watched streams have read.
    read: HashMap<u32, Arc<AtomicU32>>,
    /// The last streams that were reset because of too many unread frames.
    reset: VecDeque<u32>,
}

impl Unread {
    /// Starts to watch the reader of a stream. Frames that it has read count when it reads the next one.
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

    /// The stream is reset because of too many unread frames.
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

    /// The count of read frames for the reader of this stream, if it is watched.
    pub(super) fn find(&self, stream: u32) -> Option<Arc<AtomicU32>> {
        self.lock().read.get(&stream).cloned()
    }

    fn lock(&self) -> MutexGuard<'_, Streams> {
        // Each change is one insertion or removal.
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// For this many streams a late reader still gets the reason of the reset.
const MAX_RESET: usize = 1_024;

/// A stream is watched from this many frames on; few streams have as many.
pub(super) const WATCHED_FROM: u32 = 1_024;
