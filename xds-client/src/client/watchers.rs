//! The worker's part of single resources: the watches of each.

use std::collections::{BTreeSet, HashMap};

use mesh_core::config::Name;
use tokio::sync::watch;

use super::registry::TargetId;
use crate::protocol::{AdsState, Event, ResourceKind, View, canonical};

/// Every watch of a single resource.
#[derive(Debug, Default)]
pub(super) struct Watchers {
    all: HashMap<TargetId, Watcher>,
    by_resource: HashMap<(&'static str, Name), BTreeSet<TargetId>>,
}

#[derive(Debug)]
struct Watcher {
    kind: ResourceKind,
    name: Name,
    views: watch::Sender<View>,
}

impl Watchers {
    pub(super) fn watch(
        &mut self,
        ads: &mut AdsState,
        id: TargetId,
        (kind, name): (ResourceKind, &Name),
        views: watch::Sender<View>,
    ) {
        let name = canonical(name);
        ads.watch(kind, &name);
        self.by_resource.entry((kind.type_url, name.clone())).or_default().insert(id);
        let watcher = Watcher { kind, name, views };
        watcher.tell(ads);
        self.all.insert(id, watcher);
    }

    pub(super) fn unwatch(&mut self, ads: &mut AdsState, id: TargetId) {
        let Some(Watcher { kind, name, .. }) = self.all.remove(&id) else { return };
        ads.unwatch(kind.type_url, &name);
        let key = (kind.type_url, name);
        if let Some(ids) = self.by_resource.get_mut(&key) {
            ids.remove(&id);
            if ids.is_empty() {
                self.by_resource.remove(&key);
            }
        }
    }

    pub(super) fn on_event(&self, event: &Event, ads: &AdsState) {
        match event {
            Event::Resource { type_url, name } | Event::Members { type_url, collection: name, .. } => {
                let ids = self.by_resource.get(&(*type_url, name.clone())).into_iter().flatten();
                ids.filter_map(|id| self.all.get(id)).for_each(|watcher| watcher.tell(ads));
            }
            Event::Outage => self.all.values().for_each(|watcher| watcher.tell(ads)),
            Event::Deletion { .. } => {}
        }
    }
}

impl Watcher {
    fn tell(&self, ads: &AdsState) {
        self.views.send_replace(ads.view(self.kind.type_url, &self.name));
    }
}
