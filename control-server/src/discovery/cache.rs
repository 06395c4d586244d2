//! The resources that streams serve from: nothing until the configuration has synced, then the latest revision.
//!
//! A change is found by comparing a revision with the one before it, which costs what differs, and reaches only the
//! streams that have an interest in it.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::sync::{Notify, watch};

use super::interest::{Interest, InterestChange, Interests};
use crate::resources::{ResourceSet, Slot};
use crate::state::PipelineState;

/// The pipeline's output, for discovery and the admin API.
///
/// The first synced `state` must come after the `resources` that belong to it.
#[derive(Debug, Clone)]
pub struct Feed {
    /// The latest resources.
    pub resources: watch::Receiver<Arc<ResourceSet>>,
    /// The state of the configuration.
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

/// The latest [`Snapshot`], and the streams that wait for the next one. Clones share both.
#[derive(Debug, Clone, Default)]
pub struct ResourceCache {
    state: Arc<Mutex<CacheState>>,
}

#[derive(Debug, Default)]
struct CacheState {
    latest: Option<Snapshot>,
    interests: Interests,
    waiting: HashMap<u64, Waiting>,
}

/// Changes that one stream has not taken yet.
#[derive(Debug)]
struct Waiting {
    wake: Arc<Notify>,
    changed: Vec<(Slot, Arc<str>)>,
}

/// One stream's subscription to a [`ResourceCache`].
#[derive(Debug)]
pub(super) struct CacheSubscription {
    cache: ResourceCache,
    id: u64,
    wake: Arc<Notify>,
}

/// The latest resources, and the changes of interest since the last view.
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

    /// A subscription for the stream of this number, without any interest yet.
    pub(super) fn subscribe(&self, id: u64) -> CacheSubscription {
        let wake = Arc::new(Notify::new());
        self.lock().waiting.insert(id, Waiting { wake: Arc::clone(&wake), changed: Vec::new() });
        CacheSubscription { cache: self.clone(), id, wake }
    }

    pub(super) fn publish(&self, set: Arc<ResourceSet>, published: Instant) {
        let before = self.latest();
        let mut changed = Vec::new();
        if let Some(before) = &before {
            set.changes_since(&before.set, |slot, name| changed.push((slot, Arc::clone(name))));
        }
        let mut state = self.lock();
        state.latest = Some(Snapshot { set, published });
        let woken = match before {
            Some(_) => state.tell(changed),
            None => state.waiting.values().map(|waiting| Arc::clone(&waiting.wake)).collect(),
        };
        drop(state);
        woken.iter().for_each(|wake| wake.notify_one());
    }

    fn lock(&self) -> MutexGuard<'_, CacheState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl CacheState {
    /// Records changes for the streams that are interested; returns what wakes them.
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

impl CacheSubscription {
    /// Waits for a change that is of interest.
    pub(super) async fn changed(&self) {
        self.wake.notified().await;
    }

    /// The latest resources; each change is returned once.
    pub(super) fn look(&self) -> View {
        let mut state = self.cache.lock();
        let changed = state.waiting.get_mut(&self.id).map(|waiting| std::mem::take(&mut waiting.changed));
        View { latest: state.latest.clone(), changed: changed.unwrap_or_default() }
    }

    /// Changes the interests. A resource that has changed since the last view is reported like any later change.
    pub(super) fn turn(&self, interests: &[(Interest, InterestChange)], seen: Option<&Snapshot>) {
        if interests.is_empty() {
            return;
        }
        let mut state = self.cache.lock();
        for (interest, turned) in interests {
            state.interests.turn(self.id, interest, *turned);
        }
        // A stream without resources so far gets the first ones anyway.
        let (Some(seen), Some(latest)) = (seen, state.latest.clone()) else { return };
        if Arc::ptr_eq(&seen.set, &latest.set) {
            return;
        }
        let mut missed = Vec::new();
        latest.set.changes_since(&seen.set, |slot, name| missed.push((slot, Arc::clone(name))));
        if let Some(waiting) = state.waiting.get_mut(&self.id).filter(|_| !missed.is_empty()) {
            waiting.changed.append(&mut missed);
            waiting.wake.notify_one();
        }
    }

    /// Ends the subscription, with the interests that are left.
    pub(super) fn leave(&self, interests: &[Interest]) {
        let mut state = self.cache.lock();
        state.waiting.remove(&self.id);
        for interest in interests {
            state.interests.turn(self.id, interest, InterestChange::Off);
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
            set.insert(
                *kind,
                Arc::new(EncodedResource { name, version, bytes, made_by: Arc::default(), rules: None }),
            );
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
        let [named, wild, other] = [1, 2, 3].map(|id| cache.subscribe(id));
        named.turn(
            &[(one(Cluster, "a"), InterestChange::On), (one(Endpoints, "b"), InterestChange::On)],
            None,
        );
        wild.turn(&[(Interest::All(Cluster.into()), InterestChange::On)], None);
        other.turn(&[(one(Endpoints, "a"), InterestChange::On)], None);
        let is_woken = |subscription: &CacheSubscription| {
            futures_util::FutureExt::now_or_never(subscription.changed()).is_some()
        };
        let changed = |subscription: &CacheSubscription| {
            let mut names: Vec<_> = subscription
                .look()
                .changed
                .iter()
                .map(|(slot, name)| format!("{} {name}", slot.kind().short_name()))
                .collect();
            names.sort_unstable();
            (is_woken(subscription), names)
        };
        cache.publish(set(&[(Cluster, "a", "1"), (Endpoints, "b", "1")]), Instant::now());
        assert_eq!([&named, &wild, &other].map(is_woken), [true; 3], "the first resources concern everyone");
        let second = [(Cluster, "a", "2"), (Cluster, "c", "1"), (Endpoints, "b", "1")];
        cache.publish(set(&second), Instant::now());
        assert_eq!(changed(&named), (true, vec!["cds a".to_owned()]));
        assert_eq!(changed(&wild), (true, vec!["cds a".to_owned(), "cds c".to_owned()]));
        assert_eq!(changed(&other), (false, vec![]));
        named.turn(&[(one(Cluster, "a"), InterestChange::Off)], None);
        cache.publish(set(&[(Endpoints, "b", "2")]), Instant::now());
        cache.publish(set(&[(Endpoints, "b", "3")]), Instant::now());
        assert_eq!(changed(&named), (true, vec!["eds b".to_owned(); 2]));
        named.leave(&[one(Endpoints, "b")]);
        wild.leave(&[Interest::All(Cluster.into())]);
        other.leave(&[one(Endpoints, "a")]);
        let state = cache.lock();
        assert!(state.interests.is_empty() && state.waiting.is_empty(), "nothing stays of who has left");
    }

    /// Gives every server nothing.
    #[derive(Debug)]
    struct NoListeners;

    impl crate::resources::ServerListeners for NoListeners {
        fn listener(&self, _: &str, _: &crate::resources::ClientScope) -> Option<Arc<EncodedResource>> {
            None
        }

        fn trust_domain(&self) -> Arc<str> {
            Arc::default()
        }
    }

    #[test]
    fn change_of_policies_wakes_every_server_and_no_other_client() {
        let cache = ResourceCache::default();
        let [server, client] = [1, 2].map(|id| cache.subscribe(id));
        let inbound = one(ResourceKind::Listener, "xds.istio.io/grpc/lds/inbound/0.0.0.0:80");
        server.turn(&[(inbound.clone(), InterestChange::On)], None);
        client.turn(&[(one(ResourceKind::Listener, "a"), InterestChange::On)], None);
        cache.publish(set(&[]), Instant::now());
        let with_servers = |_| {
            let mut set = ResourceSet::default();
            set.set_servers(Arc::new(NoListeners));
            Arc::new(set)
        };
        cache.publish(with_servers(1), Instant::now());
        cache.publish(with_servers(2), Instant::now());
        assert_eq!((server.look().changed.len(), client.look().changed.len()), (2, 0));
        server.leave(&[inbound]);
        client.leave(&[one(ResourceKind::Listener, "a")]);
        assert!(cache.lock().interests.is_empty(), "nothing stays of who has left");
    }

    #[test]
    fn change_during_a_request_is_not_missed() {
        let cache = ResourceCache::default();
        let subscription = cache.subscribe(1);
        cache.publish(set(&[(Cluster, "a", "1")]), Instant::now());
        let seen = subscription.look().latest;
        cache.publish(set(&[(Cluster, "a", "2")]), Instant::now());
        assert!(subscription.look().changed.is_empty());
        subscription.turn(&[(one(Cluster, "a"), InterestChange::On)], seen.as_ref());
        assert_eq!(subscription.look().changed.len(), 1);
    }
}
