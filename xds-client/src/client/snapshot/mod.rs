//! The last-good snapshot: the resources in use, in a file, for a start without a control server.
//!
//! Written a second after a resource was accepted, and at once when a changed resource is about to be unwatched or the
//! client ends, so that a short run leaves a complete file. Entries that no server of this run replaced or deleted go
//! into it again: an unreachable server, or a target that is not watched yet, loses none. The file is replaced in one step; a file
//! that cannot be read is ignored.

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

    /// Reads the file. Logs any error.
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

    /// The resources of these types that an earlier run had accepted and this one accepts; empty the second time.
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

    /// A resource was accepted.
    pub(super) fn on_accepted(&mut self, now: Instant) {
        self.due.get_or_insert(now + DELAY);
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.due
    }

    /// Writes the resources in use, if the delay is over.
    pub(super) fn on_deadline(&mut self, now: Instant, ads: &AdsState, server: impl Fn(usize) -> Name) {
        if self.due.is_some_and(|due| due <= now) {
            self.write(ads, server);
        }
    }

    /// Writes the resources in use at once if they have changed: some of them are about to be unwatched.
    pub(super) fn before_unwatch(&mut self, ads: &AdsState, server: impl Fn(usize) -> Name) {
        if self.due.is_some() {
            self.write(ads, server);
        }
    }

    /// The client ends: writes what is left before it returns. Blocks on the disk, because the runtime may be about to end,
    /// which would drop work for another thread that has not begun.
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
