//! The last-good snapshot: what is in use, on disk, for a start without a control server.
//!
//! Written a while after something new was accepted, never when something is unwatched, so that the end of a process
//! leaves the whole. What the file held before and no server of this run has replaced or denied is written again: a
//! server that is away, or a target that nobody has watched yet, loses nothing. The file is replaced in one piece; one
//! that cannot be read is as good as none.

mod file;
mod inherited;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use mesh_core::config::Name;
use tokio::task::JoinHandle;

use super::decode::off_workers;
use crate::protocol::{AdsState, Received};
use crate::resource::{DecodeContext, DecodeError, ResourceType};

use file::Entry;
use inherited::{Inherited, leftover};

/// The snapshot of one client.
#[derive(Debug)]
pub(super) struct Snapshot {
    path: PathBuf,
    inherited: Inherited,
    due: Option<Instant>,
    writing: Option<JoinHandle<()>>,
}

impl Snapshot {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, inherited: Inherited::default(), due: None, writing: None }
    }

    /// Reads the file. Logs what is wrong with it.
    pub(super) async fn load(&mut self, contexts: HashMap<String, Arc<DecodeContext>>) {
        let path = self.path.clone();
        let read = tokio::task::spawn_blocking(move || file::read(&path)).await;
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
        if self.due.is_none_or(|due| due > now) {
            return;
        }
        if self.writing.as_ref().is_some_and(|writing| !writing.is_finished()) {
            self.due = Some(now + DELAY);
            return;
        }
        self.due = None;
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
        if entries.is_empty() {
            return;
        }
        let path = self.path.clone();
        self.writing = Some(tokio::task::spawn_blocking(move || {
            if let Err(error) = file::write(&path, &entries) {
                tracing::warn!(snapshot = %path.display(), %error, "the last-good snapshot cannot be written");
            }
        }));
    }
}

/// Changes come in bursts.
const DELAY: Duration = Duration::from_secs(1);
