//! The endpoint collections that are watched, as lists that grow with their members (TR-56).

use std::collections::HashMap;
use std::sync::Arc;

use mesh_core::config::{Endpoint, Endpoints, Name};

use crate::dependency::KeyKind;
use crate::protocol::AdsState;
use crate::resource::{AnyResource, CollectionEndpoint};

/// The endpoints of each collection. An update costs in proportion to its changes, not to the size of the collection.
#[derive(Debug, Default)]
pub(super) struct Collections {
    lists: HashMap<Name, Arc<Endpoints>>,
}

impl Collections {
    /// These members have changed or were removed.
    pub(super) fn update(&mut self, ads: &AdsState, collection: &Name, changed: &[Name]) {
        let list = self.lists.entry(collection.clone()).or_default();
        // A few members are changed one by one; for many the list is built again.
        if changed.len() > list.len() / SHARE {
            let members = ads.members(type_url(), collection);
            let members = members.filter_map(|(name, any)| Some((name.clone(), endpoint(any)?)));
            *list = Arc::new(Endpoints::named(members));
            return;
        }
        for name in changed {
            let endpoint = ads.member(type_url(), collection, name).and_then(endpoint);
            *list = Arc::new(list.with(name, endpoint));
        }
    }

    /// The endpoints of a collection; none while it is empty.
    pub(super) fn get(&self, collection: &Name) -> Arc<Endpoints> {
        self.lists.get(collection).cloned().unwrap_or_default()
    }

    /// A watch begins: collects members that an earlier watch has left in the cache.
    pub(super) fn begin(&mut self, ads: &AdsState, collection: &Name) {
        let members: Vec<Name> = ads.members(type_url(), collection).map(|(name, _)| name.clone()).collect();
        if !members.is_empty() {
            self.update(ads, collection, &members);
        }
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.lists.len()
    }

    /// The last watch has ended.
    pub(super) fn forget(&mut self, collection: &Name) {
        self.lists.remove(collection);
    }
}

/// `None`: the member exists, but takes no calls (EDS-11).
fn endpoint(member: &AnyResource) -> Option<Endpoint> {
    member.downcast_ref::<CollectionEndpoint>().and_then(|member| member.0.clone())
}

fn type_url() -> &'static str {
    KeyKind::EndpointCollection.resource_kind().type_url
}

/// If more than one member in this many has changed, the list is built again.
const SHARE: usize = 64;
