//! The side of the worker: each target's graph, and which graphs look at which resource.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::Instant;

use mesh_core::config::Name;
use mesh_core::runtime::ConfigState;
use tokio::sync::watch;

use super::registry::TargetId;
use crate::dependency::{Graph, Key, Kind, Origin, Resources};
use crate::protocol::{AdsState, DataErrors, DeletionNews, Event, Outage, View};

/// Every watched target.
#[derive(Debug)]
pub(super) struct Targets {
    graphs: HashMap<TargetId, (Graph, watch::Sender<ConfigState>)>,
    readers: Readers,
    origin: Origin,
    data_errors: DataErrors,
}

/// Which graphs look at which resource.
type Readers = HashMap<Key, HashSet<TargetId>>;

impl Targets {
    pub(super) fn new(origin: Origin, data_errors: DataErrors) -> Self {
        Self { graphs: HashMap::new(), readers: HashMap::new(), origin, data_errors }
    }

    pub(super) fn watch(
        &mut self,
        now: Instant,
        ads: &mut AdsState,
        id: TargetId,
        (listener, authority): (&Name, &str),
        states: watch::Sender<ConfigState>,
    ) {
        let graph = Graph::new(listener, authority, self.origin.clone(), self.data_errors);
        self.graphs.insert(id, (graph, states));
        self.settle(now, ads, id);
    }

    pub(super) fn unwatch(&mut self, now: Instant, ads: &mut AdsState, id: TargetId) {
        if let Some((mut graph, _)) = self.graphs.remove(&id) {
            graph.stop(&mut Desk { now, ads, readers: &mut self.readers, id });
        }
    }

    /// Takes the protocol's events to the graphs, and what comes of it to whoever watches the targets.
    pub(super) fn dispatch(&mut self, now: Instant, ads: &mut AdsState) {
        let mut changed = BTreeSet::new();
        while let Some(event) = ads.poll_event() {
            match event {
                Event::Resource { type_url, name } => {
                    let Some(kind) = Kind::of(type_url) else { continue };
                    let key = Key { kind, name };
                    for id in self.readers.get(&key).cloned().unwrap_or_default() {
                        let desk = Desk { now, ads, readers: &mut self.readers, id };
                        if let Some((graph, _)) = self.graphs.get_mut(&id) {
                            graph.on_change(&key, &desk);
                            changed.insert(id);
                        }
                    }
                }
                Event::Outage => {
                    for (id, (graph, _)) in &mut self.graphs {
                        graph.on_outage(&Desk { now, ads, readers: &mut self.readers, id: *id });
                        changed.insert(*id);
                    }
                }
                Event::Deletion { type_url, name, news } => log(type_url, &name, news),
            }
        }
        for id in changed {
            self.settle(now, ads, id);
        }
    }

    fn settle(&mut self, now: Instant, ads: &mut AdsState, id: TargetId) {
        let Some((graph, states)) = self.graphs.get_mut(&id) else { return };
        graph.settle(&mut Desk { now, ads, readers: &mut self.readers, id });
        let state = graph.state();
        states.send_if_modified(|told| {
            let news = !same(told, state);
            if news {
                *told = state.clone();
            }
            news
        });
    }
}

/// TR-27
fn log(type_url: &str, name: &Name, news: DeletionNews) {
    match news {
        DeletionNews::Ignored => {
            tracing::warn!(type_url, %name, "deleted by the server, kept in use: ignore_resource_deletion");
        }
        DeletionNews::Reappeared => tracing::info!(type_url, %name, "a deleted resource is back"),
        DeletionNews::Unwatched => {
            tracing::info!(type_url, %name, "a deleted resource is not watched any more")
        }
    }
}

fn same(left: &ConfigState, right: &ConfigState) -> bool {
    let config = match (&left.config, &right.config) {
        (Some(Ok(left)), Some(Ok(right))) => Arc::ptr_eq(left, right),
        (Some(Err(left)), Some(Err(right))) => left == right,
        (None, None) => true,
        _ => false,
    };
    config && left.ambient == right.ambient
}

/// What one graph sees of the protocol.
struct Desk<'a> {
    now: Instant,
    ads: &'a mut AdsState,
    readers: &'a mut Readers,
    id: TargetId,
}

impl Resources for Desk<'_> {
    fn watch(&mut self, key: &Key) {
        if self.readers.entry(key.clone()).or_default().insert(self.id) {
            self.ads.watch(self.now, key.kind.resource_kind(), &key.name);
        }
    }

    fn unwatch(&mut self, key: &Key) {
        let Some(readers) = self.readers.get_mut(key) else { return };
        if readers.remove(&self.id) {
            self.ads.unwatch(key.kind.resource_kind().type_url, &key.name);
        }
        if readers.is_empty() {
            self.readers.remove(key);
        }
    }

    fn view(&self, key: &Key) -> View {
        self.ads.view(key.kind.resource_kind().type_url, &key.name)
    }

    fn outage(&self) -> Option<&Outage> {
        self.ads.outage()
    }
}
