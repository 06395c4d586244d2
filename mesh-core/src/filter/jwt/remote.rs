//! Key sets that are fetched, as the filter sees them. The runtime fetches: filters do no I/O.

use std::fmt::Debug;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use crate::policy::jwt::{KeySet, RemoteKeys};

/// Completes when a fetch has ended.
pub(crate) type Fetched = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Fetches key sets. The runtime implements it, and tests do.
pub(crate) trait RemoteKeySets: Debug + Send + Sync {
    /// The key set at this place, which is kept fresh as long as someone holds it. The text says why there can be none.
    fn of(&self, keys: &RemoteKeys) -> Result<Arc<dyn RemoteKeySet>, String>;
}

/// A key set that is kept fresh.
pub(crate) trait RemoteKeySet: Debug + Send + Sync {
    /// The last good keys; `None`: none have come yet.
    fn current(&self) -> Option<Arc<KeySet>>;

    /// A token names a key that is not there. `None`: it is refused at once.
    fn on_unknown_key(&self) -> Option<Fetched>;
}
