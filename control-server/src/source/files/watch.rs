//! Reports changes in a folder.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use notify::event::{AccessKind, AccessMode};
use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::Notify;

/// Watches a folder and everything in it. Without it, for example because the system's watches are used up, a folder
/// is still rescanned.
#[derive(Debug)]
pub(super) struct Watch {
    changed: Arc<Notify>,
    watcher: Option<RecommendedWatcher>,
    folder: Option<Identity>,
}

impl Watch {
    pub(super) fn new(folder: &Path) -> Self {
        let mut watch = Self { changed: Arc::new(Notify::new()), watcher: None, folder: None };
        watch.follow(folder);
        watch
    }

    /// Reports nothing.
    pub(super) fn nothing() -> Self {
        Self { changed: Arc::new(Notify::new()), watcher: None, folder: None }
    }

    /// Waits for a change since the last call.
    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }

    /// Watches the folder that the path leads to now, which may be another one than before.
    pub(super) fn follow(&mut self, folder: &Path) {
        let identity = Identity::of(folder);
        if identity.is_none() || identity == self.folder {
            return;
        }
        let is_first = self.folder.is_none();
        self.folder = identity;
        self.watcher = start(folder, Arc::clone(&self.changed));
        if !is_first {
            self.changed.notify_one();
        }
    }
}

fn start(folder: &Path, changed: Arc<Notify>) -> Option<RecommendedWatcher> {
    let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        if event.map_or(true, |event| is_change(event.kind)) {
            changed.notify_one();
        }
    });
    let watched = watcher.and_then(|mut watcher| {
        watcher.watch(folder, RecursiveMode::Recursive)?;
        Ok(watcher)
    });
    watched
        .inspect_err(
            |error| tracing::warn!(folder = %folder.display(), %error, "cannot watch, will rescan only"),
        )
        .ok()
}

/// Reading is no change; the scan itself reads.
fn is_change(kind: EventKind) -> bool {
    match kind {
        EventKind::Access(access) => access == AccessKind::Close(AccessMode::Write),
        _ => true,
    }
}

/// Identifies a folder, to notice that another one has replaced it.
#[derive(Debug, PartialEq, Eq)]
struct Identity {
    path: PathBuf,
    inode: u64,
}

impl Identity {
    fn of(folder: &Path) -> Option<Self> {
        let path = folder.canonicalize().ok()?;
        let inode = inode(&path)?;
        Some(Self { path, inode })
    }
}

#[cfg(unix)]
fn inode(path: &Path) -> Option<u64> {
    use std::os::unix::fs::MetadataExt as _;
    path.metadata().ok().map(|metadata| metadata.ino())
}

#[cfg(not(unix))]
fn inode(path: &Path) -> Option<u64> {
    path.metadata().ok().map(|_| 0)
}
