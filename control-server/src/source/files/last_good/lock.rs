//! The lock of a data folder: one pipeline of one process writes to it.

use std::fs::{File, TryLockError};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::DataDirError;

/// The right to write. The operating system releases it when the process ends.
#[derive(Debug, Clone)]
pub(crate) struct Lock(Arc<Mutex<Option<File>>>);

impl Lock {
    /// The file stays: if it were removed, two servers could hold locks on two files of one name.
    pub(super) fn take(path: &Path) -> Result<Self, DataDirError> {
        let file = File::options().create(true).truncate(false).write(true).open(path)?;
        match file.try_lock() {
            Ok(()) => Ok(Self(Arc::new(Mutex::new(Some(file))))),
            Err(TryLockError::WouldBlock) => Err(DataDirError::InUse),
            Err(TryLockError::Error(error)) => Err(error.into()),
        }
    }

    /// Ends the right of all clones. Waits for a write that is under way, which is one file at most.
    pub(crate) fn release(&self) {
        self.file().take();
    }

    /// Writes, unless the lock is released.
    pub(super) fn hold<T>(&self, write: impl FnOnce() -> T) -> Option<T> {
        let file = self.file();
        file.is_some().then(write)
    }

    fn file(&self) -> MutexGuard<'_, Option<File>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
