//! Passes entries from the worker to the thread that writes them.

use std::path::PathBuf;
use std::sync::Mutex;

use super::super::lock;
use super::file::{self, Entry};

/// Keeps the newest entries until a thread has written them. One thread writes at a time, also on a slow disk.
#[derive(Debug)]
pub(super) struct Outbox {
    path: PathBuf,
    waiting: Mutex<Waiting>,
    /// Held while the file is written.
    disk: Mutex<()>,
}

#[derive(Debug, Default)]
struct Waiting {
    entries: Option<Vec<Entry>>,
    /// A thread will call [`Outbox::write`].
    has_writer: bool,
}

impl Outbox {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, waiting: Mutex::default(), disk: Mutex::default() }
    }

    /// Replaces the waiting entries, unless `entries` is empty. `true`: the caller has to run [`write`](Self::write).
    #[must_use]
    pub(super) fn put(&self, entries: Vec<Entry>) -> bool {
        if entries.is_empty() {
            return false;
        }
        let mut waiting = lock(&self.waiting);
        waiting.entries = Some(entries);
        !std::mem::replace(&mut waiting.has_writer, true)
    }

    /// Writes the waiting entries, after a running write has ended. Blocks.
    pub(super) fn write(&self) {
        let _one_at_a_time = lock(&self.disk);
        while let Some(entries) = self.take() {
            if let Err(error) = file::write(&self.path, &entries) {
                tracing::warn!(snapshot = %self.path.display(), %error, "the last-good snapshot cannot be written");
            }
        }
    }

    fn take(&self) -> Option<Vec<Entry>> {
        let mut waiting = lock(&self.waiting);
        waiting.has_writer = waiting.entries.is_some();
        waiting.entries.take()
    }
}
