//! Key sets at URLs: fetched in the background, and kept as long as a filter needs them.
//!
//! Invariants:
//! - keys stay in use until other good ones have come, whatever happens to their server;
//! - each key set is fetched by a task of its own, so that a server that does not answer holds up no other;
//! - no address is asked that the settings do not allow, and no answer makes the server ask another one.

mod fetch;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Instant;

use arc_swap::ArcSwapOption;
use tokio::runtime::Handle;
use tokio::sync::{Notify, watch};
use tokio::time::{self, timeout};

use crate::config::RootSource;
use crate::filter::{RemoteKeySet, RemoteKeySets};
use crate::policy::jwt::{KeyRefresh, KeySet, RemoteKeys, UnknownKey};
use crate::policy::rbac::IpRange;

/// How a server fetches the keys of those who issue tokens.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct TokenKeySettings {
    /// Local addresses from which keys may be fetched all the same. None by default: no loopback, link-local, multicast or
    /// metadata address is asked, whatever names resolve to.
    pub allowed_addresses: Vec<IpRange>,
    /// How many bytes a key set may have: 512 KiB.
    pub max_size: usize,
    /// Which certificates the servers of keys may have: by default what the system trusts.
    pub roots: RootSource,
}

impl Default for TokenKeySettings {
    fn default() -> Self {
        Self { allowed_addresses: Vec::new(), max_size: 512 << 10, roots: RootSource::System }
    }
}

/// The key sets of a server.
#[derive(Debug)]
pub(super) struct TokenKeys {
    settings: Arc<TokenKeySettings>,
    kept: Mutex<HashMap<RemoteKeys, Weak<Kept>>>,
}

impl TokenKeys {
    pub(super) fn new(settings: TokenKeySettings) -> Self {
        Self { settings: Arc::new(settings), kept: Mutex::default() }
    }
}

impl RemoteKeySets for TokenKeys {
    fn of(&self, keys: &RemoteKeys) -> Result<Arc<dyn RemoteKeySet>, String> {
        let mut all = lock(&self.kept);
        if let Some(kept) = all.get(keys).and_then(Weak::upgrade) {
            return Ok(kept);
        }
        let runtime =
            Handle::try_current().map_err(|error| format!("key sets cannot be fetched: {error}"))?;
        let kept = Arc::new(Kept::new(keys.clone()));
        all.retain(|_, kept| kept.strong_count() > 0);
        all.insert(keys.clone(), Arc::downgrade(&kept));
        runtime.spawn(refresh(Arc::downgrade(&kept), self.settings.clone()));
        Ok(kept)
    }
}

/// A key set in use.
struct Kept {
    place: RemoteKeys,
    keys: ArcSwapOption<KeySet>,
    refresh: Mutex<KeyRefresh>,
    /// Wakes the task for a fetch that is due earlier than it was.
    is_due: Notify,
    /// Counts the fetches that have ended.
    ended: watch::Sender<u64>,
}

impl Kept {
    fn new(place: RemoteKeys) -> Self {
        let refresh = KeyRefresh::new(now(), place.cache_duration, place.first_retry);
        Self {
            place,
            keys: ArcSwapOption::empty(),
            refresh: Mutex::new(refresh),
            is_due: Notify::new(),
            ended: watch::Sender::new(0),
        }
    }
}

impl RemoteKeySet for Kept {
    fn current(&self) -> Option<Arc<KeySet>> {
        self.keys.load_full()
    }

    fn on_unknown_key(&self) -> Option<std::pin::Pin<Box<dyn Future<Output = ()> + Send>>> {
        let mut ended = self.ended.subscribe();
        let answer = lock(&self.refresh).on_unknown_key(now());
        match answer {
            UnknownKey::Refuse => None,
            UnknownKey::Wait => {
                self.is_due.notify_one();
                // an error says that the task is gone: there will be no other keys
                Some(Box::pin(async move { drop(ended.changed().await) }))
            }
        }
    }
}

impl fmt::Debug for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeySet").field("url", &self.place.url).field("keys", &self.keys.load()).finish()
    }
}

/// Fetches a key set each time that it is due, until no filter needs it.
async fn refresh(kept: Weak<Kept>, settings: Arc<TokenKeySettings>) {
    loop {
        let Some(set) = kept.upgrade() else { return };
        let due = lock(&set.refresh).due();
        let pause = due.map_or(CHECK, |due| due.saturating_duration_since(now()).min(CHECK));
        if !pause.is_zero() {
            // a set that its filters drop meanwhile is dropped here after the wait
            let _ = timeout(pause, set.is_due.notified()).await;
            continue;
        }
        lock(&set.refresh).on_begun();
        let fetched = timeout(set.place.timeout, fetch::fetch(&set.place.url, &settings)).await;
        let fetched = fetched.unwrap_or(Err(fetch::FetchError::Timeout));
        let has_succeeded = fetched.is_ok();
        match fetched {
            Ok(keys) => set.keys.store(Some(Arc::new(keys))),
            Err(error) => {
                let (url, has_keys) = (&set.place.url, set.keys.load().is_some());
                let error = crate::WithCauses(&error);
                tracing::warn!(%url, has_keys, %error, "keys of tokens cannot be fetched; the last good ones stay in use");
            }
        }
        lock(&set.refresh).on_fetched(now(), has_succeeded);
        set.ended.send_modify(|count| *count += 1);
    }
}

fn now() -> Instant {
    time::Instant::now().into_std()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How often the task looks whether its key set is still needed.
const CHECK: std::time::Duration = std::time::Duration::from_secs(30);
