//! Every resource of one revision.

use std::borrow::Cow;
use std::sync::Arc;

use prost::Message as _;
use xds_proto::envoy::config::listener::v3::Listener;

use super::collection::{Collection, glob_of};
use super::scope::{ClientScope, Scoped};
use super::servers::{ServerListeners, Servers, is_server_listener};
use super::{EncodedResource, ResourceKind, Slot, Table};

/// Every resource of one revision. Cheap to clone; a revision shares with the one before it what has not changed.
#[derive(Debug, Clone, Default)]
pub struct ResourceSet {
    /// Counts accepted changes.
    pub revision: u64,
    tables: [Table<Scoped<Arc<EncodedResource>>>; Slot::COUNT],
    collections: Table<Scoped<Arc<Collection>>>,
    servers: Option<Servers>,
}

impl ResourceSet {
    /// Nothing, as this revision.
    pub fn at(revision: u64) -> Self {
        Self { revision, ..Self::default() }
    }

    /// The resource of this name as clients get it that state no scope, else as the first variant has it.
    pub fn get(&self, slot: impl Into<Slot>, name: &str) -> Option<&Arc<EncodedResource>> {
        let slot = slot.into();
        match slot.kind() {
            ResourceKind::LbEndpoint => self.collection(&glob_of(name)?)?.member(name),
            _ => self.tables[slot.index()].get(name)?.any(),
        }
    }

    /// The resource of this name as a client gets it. A member of a collection is not served by its own name. A listener has its
    /// name in any case of letters, as hosts have, and carries the one that was asked for.
    pub fn get_for(&self, slot: Slot, name: &str, client: &ClientScope) -> Option<Arc<EncodedResource>> {
        if slot.kind() == ResourceKind::Listener && is_server_listener(name) {
            return self.servers.as_ref()?.listeners.listener(name, client);
        }
        let table = &self.tables[slot.index()];
        match (table.get(name), canonical_name(slot.kind(), name)) {
            (Some(found), _) => found.get(client).cloned(),
            (None, Cow::Owned(canonical)) => renamed_listener(table.get(&canonical)?.get(client)?, name),
            (None, Cow::Borrowed(_)) => None,
        }
    }

    /// Every resource of a kind, one for each name, in no order; of collections those members that have been made.
    pub fn of_kind(&self, slot: impl Into<Slot>) -> impl Iterator<Item = &Arc<EncodedResource>> {
        let slot = slot.into();
        let is_member = slot.kind() == ResourceKind::LbEndpoint;
        let members = is_member.then(|| self.collections()).into_iter().flatten();
        let members = members.filter(|collection| collection.made() > 0);
        let members = members.flat_map(|collection| collection.members());
        members.chain(self.tables[slot.index()].iter().filter_map(|(_, resource)| resource.any()))
    }

    /// Every resource of a slot that a client gets, in no order.
    pub fn all_for(&self, slot: Slot, client: &ClientScope) -> impl Iterator<Item = &Arc<EncodedResource>> {
        self.tables[slot.index()].iter().filter_map(|(_, resource)| resource.get(client))
    }

    /// Every resource of a kind, by name, one for each name.
    pub fn sorted(&self, slot: impl Into<Slot>) -> Vec<&Arc<EncodedResource>> {
        let mut resources: Vec<_> = self.of_kind(slot).collect();
        resources.sort_unstable_by(|left, right| left.name.cmp(&right.name));
        resources
    }

    /// What stands under a name, for every scope.
    pub fn scoped(&self, slot: impl Into<Slot>, name: &str) -> Option<&Scoped<Arc<EncodedResource>>> {
        self.tables[slot.into().index()].get(name)
    }

    /// How many names of a kind there are; of collections how many members have been made.
    pub fn count(&self, kind: ResourceKind) -> usize {
        match kind {
            ResourceKind::LbEndpoint => self.collections().map(|collection| collection.made()).sum(),
            _ => self.tables[Slot::from(kind).index()].len(),
        }
    }

    /// The collection of this glob name, as clients get it that state no scope.
    pub fn collection(&self, name: &str) -> Option<&Arc<Collection>> {
        self.collections.get(name)?.any()
    }

    /// The collection of this glob name as a client gets it.
    pub fn collection_for(&self, name: &str, client: &ClientScope) -> Option<&Arc<Collection>> {
        self.collections.get(name)?.get(client)
    }

    /// What stands under a glob name, for every scope.
    pub fn scoped_collection(&self, name: &str) -> Option<&Scoped<Arc<Collection>>> {
        self.collections.get(name)
    }

    /// Every collection, in no order.
    pub fn collections(&self) -> impl Iterator<Item = &Arc<Collection>> {
        self.collections.iter().filter_map(|(_, collection)| collection.any())
    }

    /// Puts a resource under its name, for every client. A member is put with its [`Collection`] instead.
    pub fn insert(&mut self, slot: impl Into<Slot>, resource: Arc<EncodedResource>) {
        self.tables[slot.into().index()].insert(Arc::clone(&resource.name), Scoped::common(resource));
    }

    /// Puts what clients get under a name.
    pub fn insert_scoped(&mut self, slot: Slot, name: Arc<str>, resource: Scoped<Arc<EncodedResource>>) {
        self.tables[slot.index()].insert(name, resource);
    }

    /// The trust domain of the mesh's identities; `None` before the first policies have been read.
    pub fn trust_domain(&self) -> Option<Arc<str>> {
        self.servers.as_ref().map(|servers| servers.listeners.trust_domain())
    }

    /// Puts what makes the listeners of servers.
    pub fn set_servers(&mut self, listeners: Arc<dyn ServerListeners>) {
        self.servers = Some(Servers::new(listeners));
    }

    /// Removes a name.
    pub fn remove(&mut self, slot: impl Into<Slot>, name: &str) {
        self.tables[slot.into().index()].remove(name);
    }

    /// Puts a collection under its name, for every client.
    pub fn insert_collection(&mut self, collection: Arc<Collection>) {
        self.collections.insert(Arc::clone(&collection.name), Scoped::common(collection));
    }

    /// Puts what clients get under a glob name.
    pub fn insert_scoped_collection(&mut self, name: Arc<str>, collection: Scoped<Arc<Collection>>) {
        self.collections.insert(name, collection);
    }

    /// Removes a collection.
    pub fn remove_collection(&mut self, name: &str) {
        self.collections.remove(name);
    }

    /// Reports every name that has been added, changed or removed since `older`, for any client; for members the name of
    /// their collection. A change of any listener of a server is reported as [`SERVER_LISTENERS`](super::SERVER_LISTENERS).
    pub(crate) fn changes_since<'a>(&'a self, older: &'a Self, mut tell: impl FnMut(Slot, &'a Arc<str>)) {
        for slot in Slot::ALL {
            let (table, before) = (&self.tables[slot.index()], &older.tables[slot.index()]);
            table.changes_since(before, |name| tell(slot, name));
        }
        let members = Slot::from(ResourceKind::LbEndpoint);
        self.collections.changes_since(&older.collections, |name| tell(members, name));
        let is_same = |servers: &Servers| {
            let before = older.servers.as_ref();
            before.is_some_and(|before| Arc::ptr_eq(&before.listeners, &servers.listeners))
        };
        if let Some(servers) = self.servers.as_ref().filter(|servers| !is_same(servers)) {
            tell(ResourceKind::Listener.into(), &servers.any);
        }
    }

    /// Whether both hold the same, whatever their revisions.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        let mut is_same = true;
        self.changes_since(other, |_, _| is_same = false);
        is_same
    }

    /// All of it, for comparisons.
    #[cfg(test)]
    pub(crate) fn to_map(
        &self,
    ) -> std::collections::BTreeMap<(ResourceKind, Arc<str>), Arc<EncodedResource>> {
        let of_kind =
            |kind| self.of_kind(kind).map(move |one| ((kind, Arc::clone(&one.name)), Arc::clone(one)));
        ResourceKind::ALL.into_iter().flat_map(of_kind).collect()
    }
}

/// The name under which a resource stands: listeners are named after hosts, which are compared without case.
pub(crate) fn canonical_name(kind: ResourceKind, name: &str) -> Cow<'_, str> {
    let has_capitals = name.bytes().any(|byte| byte.is_ascii_uppercase());
    match kind {
        ResourceKind::Listener if has_capitals => Cow::Owned(name.to_ascii_lowercase()),
        _ => Cow::Borrowed(name),
    }
}

/// The same listener under another spelling of its name, because clients look for the name that they asked for.
fn renamed_listener(listener: &EncodedResource, name: &str) -> Option<Arc<EncodedResource>> {
    let mut message = Listener::decode(listener.bytes.clone()).ok()?;
    name.clone_into(&mut message.name);
    let renamed = EncodedResource::new(Arc::from(name), message.encode_to_vec().into());
    Some(Arc::new(renamed.made_by(Arc::clone(&listener.made_by))))
}
