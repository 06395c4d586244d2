//! The last-good snapshot: what is in use, on disk, for a start without a control server.
//!
//! Written a while after something new was accepted, never when something is unwatched, so that the end of a process
//! leaves the whole. The file is replaced in one piece; one that cannot be read is as good as none.

mod file;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mesh_core::config::Name;
use tokio::task::JoinHandle;

use super::decode::Types;
use crate::protocol::{AdsState, Received};
use crate::resource::{DecodeContext, Unwrapped, decode_wrapped};

use file::Entry;

/// The snapshot of one client.
#[derive(Debug)]
pub(super) struct Snapshot {
    path: PathBuf,
    due: Option<Instant>,
    writing: Option<JoinHandle<()>>,
}

impl Snapshot {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, due: None, writing: None }
    }

    /// What an earlier run had accepted and this one still accepts, with types. Logs what is wrong with the file.
    pub(super) async fn load(
        &self,
        types: &Types,
        contexts: &HashMap<String, Arc<DecodeContext>>,
    ) -> Vec<(String, Received)> {
        let path = self.path.clone();
        let read = tokio::task::spawn_blocking(move || file::read(&path)).await;
        let shown = self.path.display();
        let entries = match read {
            Ok(Ok(entries)) => entries,
            Ok(Err(error)) => {
                tracing::warn!(snapshot = %shown, %error, "the last-good snapshot cannot be used");
                return Vec::new();
            }
            Err(_) => return Vec::new(),
        };
        let mut resources = Vec::with_capacity(entries.len());
        for Entry { server, type_url, resource } in entries {
            let (Some(known), Some(context)) = (types.find(&type_url), contexts.get(&server)) else {
                continue;
            };
            match decode_wrapped(&**known, context, resource) {
                Ok(Unwrapped::Resource(decoded)) => resources.push((type_url, received(decoded))),
                Ok(Unwrapped::Heartbeat { .. }) => {}
                Err(error) => {
                    tracing::warn!(snapshot = %shown, %error, "a resource of the last-good snapshot is refused");
                }
            }
        }
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
        let entries: Vec<Entry> = ads
            .in_use()
            .map(|(type_url, name, version, of, bytes)| {
                Entry::new(&server(of.0), type_url, name, version, bytes)
            })
            .collect();
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

fn received(decoded: crate::resource::Decoded) -> Received {
    Received {
        name: decoded.name,
        aliases: Vec::new(),
        version: Some(decoded.version.into()),
        ttl: None,
        resource: decoded.value,
        bytes: decoded.bytes,
    }
}

/// Changes come in bursts.
const DELAY: Duration = Duration::from_secs(1);
