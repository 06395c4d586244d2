//! The last-good snapshot: what is in use, on disk, for a start without a control server.
//!
//! Written a while after something new was accepted, and at once when something new is about to be unwatched or the client
//! ends, so that a short run leaves the whole too. What the file held before and no server of this run has replaced or denied is written again: a
//! server that is away, or a target that nobody has watched yet, loses nothing. The file is replaced in one piece; one
//! that cannot be read is as good as none.

mod file;
mod inherited;
mod outbox;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use mesh_core::config::Name;
use tokio::task::spawn_blocking;

use super::decode::off_workers;
use crate::protocol::{AdsState, Received};
use crate::resource::{DecodeContext, DecodeError, ResourceType};

use file::Entry;
use inherited::{Inherited, leftover};
use outbox::Outbox;

/// The snapshot of one client.
#[derive(Debug)]
pub(super) struct Snapshot {
    path: PathBuf,
    inherited: Inherited,
    due: Option<Instant>,
    outbox: Arc<Outbox>,
}

impl Snapshot {
    pub(super) fn new(path: PathBuf) -> Self {
        let outbox = Arc::new(Outbox::new(path.clone()));
        Self { path, inherited: Inherited::default(), due: None, outbox }
    }

    /// Reads the file. Logs what is wrong with it.
    pub(super) async fn load(&mut self, contexts: HashMap<String, Arc<DecodeContext>>) {
        let path = self.path.clone();
        let read = spawn_blocking(move || file::read(&path)).await;
        let shown = self.path.display();
        match read {
            Ok(Ok(entries)) => self.inherited = Inherited::new(entries, contexts),
            Ok(Err(error)) => {
                tracing::warn!(snapshot = %shown, %error, "the last-good snapshot cannot be used");
            }
            Err(_) => {}
        }
    }

    /// What an earlier run had accepted of these types and this one still accepts; nothing the second time.
    pub(super) async fn resources(&mut self, types: Vec<Arc<dyn ResourceType>>) -> Vec<(String, Received)> {
        let (mut inherited, path) = (std::mem::take(&mut self.inherited), self.path.clone());
        let (inherited, resources) = off_workers(move || {
            let refused = |error: DecodeError| {
                let shown = path.display();
                tracing::warn!(snapshot = %shown, %error, "a resource of the last-good snapshot is refused");
            };
            let resources = types.iter().flat_map(|known| inherited.decode(&**known, refused)).collect();
            (inherited, resources)
        })
        .await;
        self.inherited = inherited;
        resources
    }

    /// Something was accepted.
    pub(super) fn on_accepted(&mut self, now: Instant) {
        self.due.get_or_insert(now + DELAY);
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.due
    }

    /// Writes what is in use, if it is time.
    pub(super) fn on_deadline(&mut self, now: Instant, ads: &AdsState, server: impl Fn(usize) -> Name) {
        if self.due.is_some_and(|due| due <= now) {
            self.write(ads, server);
        }
    }

    /// Writes what is in use without waiting for more, if it has changed: some of it is about to be unwatched.
    pub(super) fn before_unwatch(&mut self, ads: &AdsState, server: impl Fn(usize) -> Name) {
        if self.due.is_some() {
            self.write(ads, server);
        }
    }

    /// The client ends: what is left to be written is when this returns. Blocks on the disk, for its runtime may be about
    /// to end, which drops what has been handed to another thread and has not begun.
    pub(super) fn finish(&mut self, ads: &AdsState, server: impl Fn(usize) -> Name) {
        if self.due.take().is_some() {
            let entries = self.entries(ads, server);
            _ = self.outbox.put(entries);
        }
        self.outbox.write();
    }

    fn write(&mut self, ads: &AdsState, server: impl Fn(usize) -> Name) {
        self.due = None;
        let entries = self.entries(ads, server);
        if self.outbox.put(entries) {
            let outbox = self.outbox.clone();
            spawn_blocking(move || outbox.write());
        }
    }

    fn entries(&mut self, ads: &AdsState, server: impl Fn(usize) -> Name) -> Vec<Entry> {
        let used = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let in_use = ads.in_use().map(|(type_url, name, version, of, bytes)| Entry {
            server: server(of.0).to_string(),
            type_url: type_url.to_owned(),
            name: name.clone(),
            version: version.clone(),
            bytes: bytes.clone(),
            used,
        });
        let mut entries: Vec<Entry> = in_use.collect();
        entries.extend(self.inherited.sweep(used, |entry| leftover(ads, entry)).cloned());
        entries
    }
}

/// Changes come in bursts.
const DELAY: Duration = Duration::from_secs(1);
