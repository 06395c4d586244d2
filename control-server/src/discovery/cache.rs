//! The resources that streams serve from: nothing until the configuration has synced, then the latest revision.
//!
//! A change is found by comparing a revision with the one before it, which costs what differs, and reaches only the
//! streams that have an interest in it.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::sync::{Notify, watch};

use super::interest::{Interest, Interests, Turned};
use crate::resources::{ResourceSet, Slot};
use crate::state::PipelineState;

/// What the pipeline gives to discovery and to the admin API.
///
/// The first synced `state` must come after the `resources` that belong to it.
#[derive(Debug, Clone)]
pub struct Feed {
    /// The latest resources.
    pub resources: watch::Receiver<Arc<ResourceSet>>,
    /// How configuration stands.
    pub state: watch::Receiver<Arc<PipelineState>>,
}

/// The resources of one revision and when they became known here.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// Every resource.
    pub set: Arc<ResourceSet>,
    /// Start of the push latency.
    pub published: Instant,
}

/// The latest [`Snapshot`], and who waits for the next one. Clones share both.
#[derive(Debug, Clone, Default)]
pub struct ResourceCache {
    hub: Arc<Mutex<Hub>>,
}

#[derive(Debug, Default)]
struct Hub {
    latest: Option<Snapshot>,
    interests: Interests,
    waiting: HashMap<u64, Waiting>,
}

/// What one stream has not been told yet.
#[derive(Debug)]
struct Waiting {
    wake: Arc<Notify>,
    changed: Vec<(Slot, Arc<str>)>,
}

/// The place of one stream at a [`ResourceCache`].
#[derive(Debug)]
pub(super) struct Seat {
    cache: ResourceCache,
    id: u64,
    wake: Arc<Notify>,
}

/// The latest resources, and what of interest has changed since the last look.
#[derive(Debug)]
pub(super) struct View {
    pub(super) latest: Option<Snapshot>,
    pub(super) changed: Vec<(Slot, Arc<str>)>,
}

impl ResourceCache {
    /// A cache and the future that keeps it current. The future never ends: when the pipeline is gone, the last
    /// snapshot stays.
    pub fn follow(feed: Feed) -> (Self, impl Future<Output = ()> + Send + 'static) {
        let cache = Self::default();
        (cache.clone(), forward(feed, cache))
    }

    /// The latest snapshot; `None` until the configuration has synced.
    pub fn latest(&self) -> Option<Snapshot> {
        self.lock().latest.clone()
    }

    /// A place for the stream of this number, without any interest yet.
    pub(super) fn take_seat(&self, id: u64) -> Seat {
        let wake = Arc::new(Notify::new());
        self.lock().waiting.insert(id, Waiting { wake: Arc::clone(&wake), changed: Vec::new() });
        Seat { cache: self.clone(), id, wake }
    }

    pub(super) fn publish(&self, set: Arc<ResourceSet>, published: Instant) {
        let before = self.latest();
        let mut changed = Vec::new();
        if let Some(before) = &before {
            set.changes_since(&before.set, |slot, name| changed.push((slot, Arc::clone(name))));
        }
        let mut hub = self.lock();
        hub.latest = Some(Snapshot { set, published });
        let woken = match before {
            Some(_) => hub.tell(changed),
            None => hub.waiting.values().map(|waiting| Arc::clone(&waiting.wake)).collect(),
        };
        drop(hub);
        woken.iter().for_each(|wake| wake.notify_one());
    }

    fn lock(&self) -> MutexGuard<'_, Hub> {
        self.hub.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Hub {
    /// Notes changes for whom they concern; gives what wakes those.
    fn tell(&mut self, changed: Vec<(Slot, Arc<str>)>) -> Vec<Arc<Notify>> {
        let mut concerned = HashSet::new();
        for (slot, name) in changed {
            for id in self.interests.of(slot, &name) {
                if let Some(waiting) = self.waiting.get_mut(&id) {
                    waiting.changed.push((slot, Arc::clone(&name)));
                    concerned.insert(id);
                }
            }
        }
        concerned.iter().filter_map(|id| Some(Arc::clone(&self.waiting.get(id)?.wake))).collect()
    }
}

impl Seat {
    /// Waits for a change of interest.
    pub(super) async fn changed(&self) {
        self.wake.notified().await;
    }

    /// The latest resources; what has changed is told once.
    pub(super) fn look(&self) -> View {
        let mut hub = self.cache.lock();
        let changed = hub.waiting.get_mut(&self.id).map(|waiting| std::mem::take(&mut waiting.changed));
        View { latest: hub.latest.clone(), changed: changed.unwrap_or_default() }
    }

    /// Changes what is of interest. What has changed of it since the resources were looked at is told like any change.
    pub(super) fn turn(&self, interests: &[(Interest, Turned)], seen: Option<&Snapshot>) {
        if interests.is_empty() {
            return;
        }
        let mut hub = self.cache.lock();
        for (interest, turned) in interests {
            hub.interests.turn(self.id, interest, *turned);
        }
        // Without resources so far, the first ones are told anyway.
        let (Some(seen), Some(latest)) = (seen, hub.latest.clone()) else { return };
        if Arc::ptr_eq(&seen.set, &latest.set) {
            return;
        }
        let mut missed = Vec::new();
        latest.set.changes_since(&seen.set, |slot, name| missed.push((slot, Arc::clone(name))));
        if let Some(waiting) = hub.waiting.get_mut(&self.id).filter(|_| !missed.is_empty()) {
            waiting.changed.append(&mut missed);
            waiting.wake.notify_one();
        }
    }

    /// Gives the place up, with the interests that are left.
    pub(super) fn leave(&self, interests: &[Interest]) {
        let mut hub = self.cache.lock();
        hub.waiting.remove(&self.id);
        for interest in interests {
            hub.interests.turn(self.id, interest, Turned::Off);
        }
    }
}

async fn forward(mut feed: Feed, cache: ResourceCache) {
    if feed.state.wait_for(|state| state.synced).await.is_ok() {
        loop {
            let set = feed.resources.borrow_and_update().clone();
            cache.publish(set, tokio::time::Instant::now().into_std());
            if feed.resources.changed().await.is_err() {
                break;
            }
        }
    }
    tracing::error!("the configuration pipeline has ended; what it delivered last stays in use");
    std::future::pending().await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resources::{EncodedResource, ResourceKind};

    fn set(resources: &[(ResourceKind, &str, &str)]) -> Arc<ResourceSet> {
        let mut set = ResourceSet::default();
        for (kind, name, version) in resources {
            let (name, version, bytes) = ((*name).into(), (*version).into(), bytes::Bytes::new());
            set.insert(*kind, Arc::new(EncodedResource { name, version, bytes }));
        }
        Arc::new(set)
    }

    fn one(kind: ResourceKind, name: &str) -> Interest {
        Interest::One(kind.into(), name.into())
    }

    use ResourceKind::{Cluster, Endpoints};

    #[test]
    fn change_wakes_only_its_subscribers() {
        let cache = ResourceCache::default();
        let [named, wild, other] = [1, 2, 3].map(|id| cache.take_seat(id));
        named.turn(&[(one(Cluster, "a"), Turned::On), (one(Endpoints, "b"), Turned::On)], None);
        wild.turn(&[(Interest::All(Cluster.into()), Turned::On)], None);
        other.turn(&[(one(Endpoints, "a"), Turned::On)], None);
        let is_woken = |seat: &Seat| futures_util::FutureExt::now_or_never(seat.changed()).is_some();
        let changed = |seat: &Seat| {
            let mut names: Vec<_> = seat
                .look()
                .changed
                .iter()
                .map(|(slot, name)| format!("{} {name}", slot.kind().short_name()))
                .collect();
            names.sort_unstable();
            (is_woken(seat), names)
        };
        cache.publish(set(&[(Cluster, "a", "1"), (Endpoints, "b", "1")]), Instant::now());
        assert_eq!([&named, &wild, &other].map(is_woken), [true; 3], "the first resources concern everyone");
        let second = [(Cluster, "a", "2"), (Cluster, "c", "1"), (Endpoints, "b", "1")];
        cache.publish(set(&second), Instant::now());
        assert_eq!(changed(&named), (true, vec!["cds a".to_owned()]));
        assert_eq!(changed(&wild), (true, vec!["cds a".to_owned(), "cds c".to_owned()]));
        assert_eq!(changed(&other), (false, vec![]));
        named.turn(&[(one(Cluster, "a"), Turned::Off)], None);
        cache.publish(set(&[(Endpoints, "b", "2")]), Instant::now());
        cache.publish(set(&[(Endpoints, "b", "3")]), Instant::now());
        assert_eq!(changed(&named), (true, vec!["eds b".to_owned(); 2]));
        named.leave(&[one(Endpoints, "b")]);
        wild.leave(&[Interest::All(Cluster.into())]);
        other.leave(&[one(Endpoints, "a")]);
        let hub = cache.lock();
        assert!(hub.interests.is_empty() && hub.waiting.is_empty(), "nothing stays of who has left");
    }

    #[test]
    fn change_during_a_request_is_not_missed() {
        let cache = ResourceCache::default();
        let seat = cache.take_seat(1);
        cache.publish(set(&[(Cluster, "a", "1")]), Instant::now());
        let seen = seat.look().latest;
        cache.publish(set(&[(Cluster, "a", "2")]), Instant::now());
        assert!(seat.look().changed.is_empty());
        seat.turn(&[(one(Cluster, "a"), Turned::On)], seen.as_ref());
        assert_eq!(seat.look().changed.len(), 1);
    }
}
