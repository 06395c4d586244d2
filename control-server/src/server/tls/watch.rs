//! Reports changes beside some files.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::Notify;

/// Watches the folders of files: a file is often replaced by a rename, or by a change of a link beside it.
#[derive(Debug)]
pub(super) struct Watch {
    changed: Arc<Notify>,
    /// `None` if the system's watches are used up: the files are still read at intervals.
    _watcher: Option<RecommendedWatcher>,
}

impl Watch {
    pub(super) fn beside(files: &[&Path]) -> Self {
        let changed = Arc::new(Notify::new());
        let folders: BTreeSet<PathBuf> = files.iter().filter_map(|file| folder(file)).collect();
        let watcher = start(&folders, changed.clone());
        let watcher = watcher
            .inspect_err(|error| tracing::warn!(%error, "cannot watch the TLS files, will look at them only"))
            .ok();
        Self { changed, _watcher: watcher }
    }

    /// Waits for a change since the last call.
    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }
}

fn folder(file: &Path) -> Option<PathBuf> {
    let folder = file.parent()?;
    Some(if folder.as_os_str().is_empty() { PathBuf::from(".") } else { folder.to_owned() })
}

fn start(folders: &BTreeSet<PathBuf>, changed: Arc<Notify>) -> notify::Result<RecommendedWatcher> {
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        // Reading is no change; the following read would cause an event itself.
        if event.map_or(true, |event| !matches!(event.kind, EventKind::Access(_))) {
            changed.notify_one();
        }
    })?;
    for folder in folders {
        watcher.watch(folder, RecursiveMode::NonRecursive)?;
    }
    Ok(watcher)
}
