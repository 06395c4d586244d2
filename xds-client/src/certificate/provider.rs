//! Reads files and keeps their last valid content.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError, Weak};

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use tokio::task::{AbortHandle, JoinHandle, spawn_blocking};
use tokio::time::sleep;

use crate::bootstrap::FileWatcher;

use super::material::{Identity, Roots, identity, roots};
use super::reload::{Contents, ReadChange, Reload};

/// Reads the files of a `file_watcher` and keeps their last valid content.
///
/// The files are read at each request, and at their interval as long as the provider exists: when they break later, the
/// valid content of the meantime is still in use.
#[derive(Debug)]
pub(crate) struct FileProvider {
    files: FileWatcher,
    known: Mutex<ProviderState>,
    reading: Mutex<Option<(AbortHandle, Reading)>>,
    watching: Mutex<Option<JoinHandle<()>>>,
}

/// One read of the files, shared by all requests that come while it runs.
type Reading = Shared<BoxFuture<'static, Result<Material, String>>>;

#[derive(Debug, Default)]
struct ProviderState {
    identity: Reload<Identity>,
    roots: Reload<Roots>,
}

/// The last valid content of the files; `None` where no file is configured.
#[derive(Debug, Clone)]
pub(crate) struct Material {
    pub(crate) identity: Option<Arc<Identity>>,
    pub(crate) roots: Option<Arc<Roots>>,
}

impl FileProvider {
    pub(super) fn new(files: FileWatcher) -> Self {
        Self { files, known: Mutex::default(), reading: Mutex::default(), watching: Mutex::default() }
    }

    /// Reads the files, and from now on also at the interval.
    ///
    /// # Errors
    /// The files are invalid and never were valid: which file, and why.
    pub(crate) async fn material(self: &Arc<Self>) -> Result<Material, String> {
        self.watch();
        self.read().await
    }

    /// One read at a time, for all requests: on a mount that hangs, each would block a thread.
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

    /// The last task may have ended with its runtime.
    fn watch(self: &Arc<Self>) {
        let mut watching = lock(&self.watching);
        if watching.as_ref().is_none_or(JoinHandle::is_finished) {
            *watching = Some(tokio::spawn(look_at_intervals(Arc::downgrade(self), self.files.clone())));
        }
    }

    /// Reads the files. Blocks.
    fn look(&self) -> Result<Material, String> {
        // Roots that cannot be read are never replaced by the system's.
        if let Some(file) = &self.files.spiffe_trust_bundle_map_file {
            return Err(format!("{}: maps of SPIFFE trust bundles are not supported", file.display()));
        }
        let mut known = lock(&self.known);
        let ProviderState { identity: known_identity, roots: known_roots } = &mut *known;
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
        // An error has been logged, and is returned to later requests.
        _ = provider.read().await;
    }
}

pub(super) fn read(files: &[&Path]) -> Contents {
    let read = |file: &&Path| {
        std::fs::read(file).map_err(|error| format!("cannot read {}: {error}", file.display()))
    };
    files.iter().map(read).collect()
}

fn log(what: &str, change: &ReadChange) {
    match change {
        ReadChange::Same => {}
        ReadChange::Good => tracing::debug!(what, "read"),
        ReadChange::Bad(reason) => {
            tracing::warn!(what, reason, "not usable; the last valid content stays in use")
        }
    }
}

/// A panic of another thread leaves the state usable.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The provider of these files, shared by all users of the same files while one of them keeps it (BS-36).
pub(crate) fn provider(files: &FileWatcher) -> Arc<FileProvider> {
    let mut providers = PROVIDERS.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(provider) = providers.get(files).and_then(Weak::upgrade) {
        return provider;
    }
    providers.retain(|_, provider| provider.strong_count() > 0);
    let provider = Arc::new(FileProvider::new(files.clone()));
    providers.insert(files.clone(), Arc::downgrade(&provider));
    provider
}

static PROVIDERS: LazyLock<Mutex<HashMap<FileWatcher, Weak<FileProvider>>>> = LazyLock::new(Mutex::default);
