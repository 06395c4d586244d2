//! The worker's part of targets: the graph of each, and the graphs that read each resource.

use std::collections::{BTreeSet, HashMap, HashSet};

use mesh_core::config::Name;
use mesh_core::runtime::{ConfigState, ServerConfigState, SourceState};
use tokio::sync::watch;

use super::collections::Collections;
use super::registry::TargetId;
use super::watchers::Watchers;
use crate::dependency::{ErrorContext, Graph, Key, KeyKind, Resources, ServerGraph};
use crate::protocol::{AdsState, DataErrors, DeletionStatus, Event, Outage, View};

/// Every watched target and server.
#[derive(Debug)]
pub(super) struct Targets {
    graphs: HashMap<TargetId, Watched>,
    readers: Readers,
    collections: Collections,
    context: ErrorContext,
}

/// The graph of a watch, and where its states go.
#[derive(Debug)]
enum Watched {
    Target(Graph, watch::Sender<ConfigState>),
    Server(ServerGraph, watch::Sender<ServerConfigState>),
}

/// The targets whose graphs read each resource.
type Readers = HashMap<Key, HashSet<TargetId>>;

impl Targets {
    pub(super) fn new(context: ErrorContext) -> Self {
        let (graphs, readers, collections) = (HashMap::new(), HashMap::new(), Collections::default());
        Self { graphs, readers, collections, context }
    }

    pub(super) fn watch(
        &mut self,
        ads: &mut AdsState,
        id: TargetId,
        (listener, authority): (&Name, &str),
        states: watch::Sender<ConfigState>,
    ) {
        let graph = Graph::new(listener, authority, self.context.clone());
        self.graphs.insert(id, Watched::Target(graph, states));
        self.settle(ads, id);
    }

    pub(super) fn watch_server(
        &mut self,
        ads: &mut AdsState,
        id: TargetId,
        listener: &Name,
        states: watch::Sender<ServerConfigState>,
    ) {
        let graph = ServerGraph::new(listener, self.context.clone());
        self.graphs.insert(id, Watched::Server(graph, states));
        self.settle(ads, id);
    }

    pub(super) fn unwatch(&mut self, ads: &mut AdsState, id: TargetId) {
        let Some(watched) = self.graphs.remove(&id) else { return };
        let Self { readers, collections, .. } = self;
        let mut resources = TargetResources { ads, readers, collections, id };
        match watched {
            Watched::Target(mut graph, _) => graph.stop(&mut resources),
            Watched::Server(mut graph, _) => graph.stop(&mut resources),
        }
    }

    /// Passes the protocol's events to the graphs, and their results to the watches of the targets.
    pub(super) fn dispatch(&mut self, ads: &mut AdsState, watchers: &mut Watchers) {
        let mut changed = BTreeSet::new();
        while let Some(event) = ads.poll_event() {
            watchers.on_event(&event, ads);
            match event {
                Event::Resource { type_url, name } => self.on_resource(ads, type_url, name, &mut changed),
                Event::Members { type_url, collection, changed: members } => {
                    let key = Key { kind: KeyKind::EndpointCollection, name: collection };
                    // The watch of a single resource belongs to no target.
                    if KeyKind::of(type_url) == Some(key.kind) && self.readers.contains_key(&key) {
                        self.collections.update(ads, &key.name, &members);
                    }
                    let collection = key.name;
                    self.on_resource(ads, type_url, collection, &mut changed);
                }
                Event::Outage => {
                    let Self { graphs, readers, collections, .. } = self;
                    for (id, watched) in graphs {
                        match watched {
                            Watched::Target(graph, _) => {
                                graph.on_outage(&TargetResources { ads, readers, collections, id: *id });
                            }
                            Watched::Server(graph, _) => graph.on_outage(),
                        }
                        changed.insert(*id);
                    }
                }
                Event::Deletion { type_url, name, status } => log(type_url, &name, status),
            }
        }
        for id in changed {
            self.settle(ads, id);
        }
    }

    fn on_resource(
        &mut self,
        ads: &mut AdsState,
        type_url: &'static str,
        name: Name,
        changed: &mut BTreeSet<TargetId>,
    ) {
        let Some(kind) = KeyKind::of(type_url) else { return };
        let key = Key { kind, name };
        let Self { graphs, readers, collections, .. } = self;
        for id in readers.get(&key).cloned().unwrap_or_default() {
            let resources = TargetResources { ads, readers, collections, id };
            match graphs.get_mut(&id) {
                Some(Watched::Target(graph, _)) => graph.on_change(&key, &resources),
                Some(Watched::Server(graph, _)) => graph.on_change(&key),
                None => continue,
            }
            changed.insert(id);
        }
    }

    fn settle(&mut self, ads: &mut AdsState, id: TargetId) {
        let Self { graphs, readers, collections, .. } = self;
        let Some(watched) = graphs.get_mut(&id) else { return };
        let mut resources = TargetResources { ads, readers, collections, id };
        match watched {
            Watched::Target(graph, states) => {
                graph.settle(&mut resources);
                tell(states, graph.state());
            }
            Watched::Server(graph, states) => {
                graph.settle(&mut resources);
                tell(states, graph.state());
            }
        }
    }
}

/// The state to those who watch it, if it is another one.
fn tell<C>(states: &watch::Sender<SourceState<C>>, state: &SourceState<C>) {
    states.send_if_modified(|told| {
        let is_new = !told.is_same(state);
        if is_new {
            *told = state.clone();
        }
        is_new
    });
}

// TR-27
fn log(type_url: &str, name: &Name, status: DeletionStatus) {
    match status {
        DeletionStatus::Ignored => {
            tracing::warn!(type_url, %name, "deleted by the server, kept in use: ignore_resource_deletion");
        }
        DeletionStatus::Reappeared => tracing::info!(type_url, %name, "a deleted resource is back"),
        DeletionStatus::Unwatched => {
            tracing::info!(type_url, %name, "a deleted resource is not watched any more")
        }
    }
}

/// The protocol's resources as one graph sees them.
struct TargetResources<'a> {
    ads: &'a mut AdsState,
    readers: &'a mut Readers,
    collections: &'a mut Collections,
    id: TargetId,
}

impl Resources for TargetResources<'_> {
    fn watch(&mut self, key: &Key) {
        let readers = self.readers.entry(key.clone()).or_default();
        if readers.insert(self.id) {
            self.ads.watch(key.kind.resource_kind(), &key.name);
            if key.kind == KeyKind::EndpointCollection && readers.len() == 1 {
                self.collections.begin(self.ads, &key.name);
            }
        }
    }

    fn unwatch(&mut self, key: &Key) {
        let Some(readers) = self.readers.get_mut(key) else { return };
        if readers.remove(&self.id) {
            self.ads.unwatch(key.kind.resource_kind().type_url, &key.name);
        }
        if readers.is_empty() {
            self.readers.remove(key);
            self.collections.forget(&key.name);
        }
    }

    fn view(&self, key: &Key) -> View {
        let mut view = self.ads.view(key.kind.resource_kind().type_url, &key.name);
        if let (KeyKind::EndpointCollection, Some(Ok(value))) = (key.kind, &mut view.value) {
            *value = self.collections.get(&key.name);
        }
        view
    }

    fn outage(&self, key: &Key) -> Option<&Outage> {
        self.ads.outage(&key.name)
    }

    fn server(&self, key: &Key) -> Option<Name> {
        self.ads.server_of(&key.name).cloned()
    }

    fn data_errors(&self, key: &Key) -> DataErrors {
        self.ads.data_errors(&key.name)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Instant;

    use super::*;
    use crate::protocol::{Received, Response, ServerId, ServerSettings, Settings, Variant};

    #[test]
    fn collection_that_no_target_needs_is_not_gathered() {
        let server = ServerSettings { variant: Variant::Delta, ..ServerSettings::new("control:15010") };
        let (mut ads, now, server_id) =
            (AdsState::new(Settings::one_server(server)), Instant::now(), ServerId(0));
        let context = ErrorContext { server: "control:15010".into(), node: "n1".into() };
        let (mut targets, mut watchers) = (Targets::new(context), Watchers::default());
        let kind = KeyKind::EndpointCollection.resource_kind();
        let collection = Name::from("xdstp:///envoy.config.endpoint.v3.LbEndpoint/c/*");
        let (views, watched) = watch::channel(View::default());
        watchers.watch(&mut ads, 7, (kind, &collection), views);
        ads.on_opening(server_id, now);
        ads.on_stream_opened(server_id);
        ads.poll_request(server_id, now).unwrap();
        let member = Received {
            name: "xdstp:///envoy.config.endpoint.v3.LbEndpoint/c/1".into(),
            aliases: Vec::new(),
            version: Some("1".into()),
            ttl: None,
            resource: Arc::new(()),
            bytes: Default::default(),
        };
        let type_url = kind.type_url.to_owned();
        let response = Response { type_url, resources: vec![Ok(member)], ..Response::default() };
        ads.on_response(server_id, now, response);
        targets.dispatch(&mut ads, &mut watchers);
        assert!(matches!(watched.borrow().value, Some(Ok(_))), "the watcher has it");
        assert_eq!(targets.collections.len(), 0);
    }
}
