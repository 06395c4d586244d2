//! Reads files and keeps what was last in order.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use tokio::task::{AbortHandle, JoinHandle, spawn_blocking};
use tokio::time::sleep;

use super::material::{Identity, Roots, identity, roots};
use super::reload::{Contents, News, Reload};
use crate::bootstrap::FileWatcher;

/// Reads the files of a `file_watcher` and keeps what was last in order.
///
/// They are read whenever somebody asks, and at their interval as long as the provider is kept, so that files which
/// break later do not take back what was good in between. Dropping it ends that.
#[derive(Debug)]
pub(crate) struct FileProvider {
    files: FileWatcher,
    known: Mutex<Known>,
    reading: Mutex<Option<(AbortHandle, Reading)>>,
    watching: Mutex<Option<JoinHandle<()>>>,
}

/// A look at the files, for all who ask while it lasts.
type Reading = Shared<BoxFuture<'static, Result<Material, String>>>;

#[derive(Debug, Default)]
struct Known {
    identity: Reload<Identity>,
    roots: Reload<Roots>,
}

/// What the files held when they were last in order; `None` where no file is configured.
#[derive(Debug, Clone)]
pub(crate) struct Material {
    pub(crate) identity: Option<Arc<Identity>>,
    pub(crate) roots: Option<Arc<Roots>>,
}

impl FileProvider {
    pub(super) fn new(files: FileWatcher) -> Self {
        Self { files, known: Mutex::default(), reading: Mutex::default(), watching: Mutex::default() }
    }

    /// Looks at the files, and has them looked at from now on.
    ///
    /// # Errors
    /// Files that are not in order and never were: which, and why.
    pub(crate) async fn material(self: &Arc<Self>) -> Result<Material, String> {
        self.watch();
        self.read().await
    }

    /// One look at a time, whoever asks: on a mount that hangs, each would hold a thread.
    fn read(self: &Arc<Self>) -> Reading {
        let mut reading = lock(&self.reading);
        if let Some((_, reading)) = reading.as_ref().filter(|(task, _)| !task.is_finished()) {
            return reading.clone();
        }
        let provider = self.clone();
        let task = spawn_blocking(move || provider.look());
        let handle = task.abort_handle();
        let read = async move { task.await.unwrap_or_else(|error| Err(error.to_string())) }.boxed().shared();
        *reading = Some((handle, read.clone()));
        read
    }

    /// The task may have ended with the runtime that it was on.
    fn watch(self: &Arc<Self>) {
        let mut watching = lock(&self.watching);
        if watching.as_ref().is_none_or(JoinHandle::is_finished) {
            *watching = Some(tokio::spawn(look_at_intervals(Arc::downgrade(self), self.files.clone())));
        }
    }

    /// Blocks.
    fn look(&self) -> Result<Material, String> {
        // Roots that cannot be read are never the system's instead.
        if let Some(file) = &self.files.spiffe_trust_bundle_map_file {
            return Err(format!("{}: maps of SPIFFE trust bundles are not supported", file.display()));
        }
        let mut known = lock(&self.known);
        let Known { identity: known_identity, roots: known_roots } = &mut *known;
        if let Some(files) = &self.files.identity {
            let contents = read(&[&files.certificate, &files.private_key]);
            log("identity", &known_identity.on_read(contents, |contents| identity(files, contents)));
        }
        if let Some(file) = &self.files.ca_certificate_file {
            log("trusted roots", &known_roots.on_read(read(&[file]), |contents| roots(file, contents)));
        }
        Ok(Material {
            identity: self.files.identity.as_ref().map(|_| known_identity.good()).transpose()?,
            roots: self.files.ca_certificate_file.as_ref().map(|_| known_roots.good()).transpose()?,
        })
    }
}

impl Drop for FileProvider {
    fn drop(&mut self) {
        if let Some(watching) = lock(&self.watching).take() {
            watching.abort();
        }
    }
}

async fn look_at_intervals(provider: Weak<FileProvider>, files: FileWatcher) {
    loop {
        sleep(files.refresh_interval).await;
        let Some(provider) = provider.upgrade() else { return };
        // What is wrong has been logged, and is told to who asks.
        _ = provider.read().await;
    }
}

fn read(files: &[&Path]) -> Contents {
    let read = |file: &&Path| {
        std::fs::read(file).map_err(|error| format!("cannot read {}: {error}", file.display()))
    };
    files.iter().map(read).collect()
}

fn log(what: &str, news: &News) {
    match news {
        News::Same => {}
        News::Good => tracing::debug!(what, "read"),
        News::Bad(reason) => tracing::warn!(what, reason, "not usable; what was good before stays in use"),
    }
}

/// A panic elsewhere leaves nothing half done that matters more than going on.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
