//! The providers of the process.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError, Weak};

use super::FileProvider;
use crate::bootstrap::FileWatcher;

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
