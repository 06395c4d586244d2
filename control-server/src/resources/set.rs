//! Every resource of one revision.

use std::sync::Arc;

use super::{EncodedResource, ResourceKind, Slot, Table};

/// Every resource of one revision. Cheap to clone; a revision shares with the one before it what has not changed.
#[derive(Debug, Clone, Default)]
pub struct ResourceSet {
    /// Counts accepted changes.
    pub revision: u64,
    tables: [Table<Arc<EncodedResource>>; Slot::COUNT],
}

impl ResourceSet {
    /// Nothing, as this revision.
    pub fn at(revision: u64) -> Self {
        Self { revision, ..Self::default() }
    }

    /// The resource of this name.
    pub fn get(&self, slot: impl Into<Slot>, name: &str) -> Option<&Arc<EncodedResource>> {
        self.table(slot).get(name)
    }

    /// Every resource of a kind, in no order.
    pub fn of_kind(&self, slot: impl Into<Slot>) -> impl Iterator<Item = &Arc<EncodedResource>> {
        self.table(slot).iter().map(|(_, resource)| resource)
    }

    /// Every resource of a kind, by name.
    pub fn sorted(&self, slot: impl Into<Slot>) -> Vec<&Arc<EncodedResource>> {
        let mut resources: Vec<_> = self.of_kind(slot).collect();
        resources.sort_unstable_by(|left, right| left.name.cmp(&right.name));
        resources
    }

    /// How many resources of a kind there are.
    pub fn count(&self, kind: ResourceKind) -> usize {
        self.table(kind).len()
    }

    /// Puts a resource under its name.
    pub fn insert(&mut self, slot: impl Into<Slot>, resource: Arc<EncodedResource>) {
        self.tables[slot.into().index()].insert(Arc::clone(&resource.name), resource);
    }

    /// Takes a resource away.
    pub fn remove(&mut self, slot: impl Into<Slot>, name: &str) {
        self.tables[slot.into().index()].remove(name);
    }

    /// Tells every name that has been added, changed or removed since `older`.
    pub(crate) fn changes_since<'a>(&'a self, older: &'a Self, mut tell: impl FnMut(Slot, &'a Arc<str>)) {
        for slot in Slot::ALL {
            self.table(slot).changes_since(older.table(slot), |name| tell(slot, name));
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

    fn table(&self, slot: impl Into<Slot>) -> &Table<Arc<EncodedResource>> {
        &self.tables[slot.into().index()]
    }
}
