//! What is to be written, between the worker and the thread that writes.

use std::path::PathBuf;
use std::sync::Mutex;

use super::super::lock;
use super::file::{self, Entry};

/// Keeps the newest entries until a thread has written them. One thread writes at a time, however slow the disk is.
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
    /// Whether somebody is to call [`Outbox::write`].
    has_writer: bool,
}

impl Outbox {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, waiting: Mutex::default(), disk: Mutex::default() }
    }

    /// Replaces what waits; nothing never replaces something. `true`: the caller is to have [`write`](Self::write) called.
    #[must_use]
    pub(super) fn put(&self, entries: Vec<Entry>) -> bool {
        if entries.is_empty() {
            return false;
        }
        let mut waiting = lock(&self.waiting);
        waiting.entries = Some(entries);
        !std::mem::replace(&mut waiting.has_writer, true)
    }

    /// Writes what waits, after a write that is under way. Blocks.
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
