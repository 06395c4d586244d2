//! The objects by key, and the record of what was looked up.

use std::cell::{Cell, RefCell};
use std::sync::Arc;

use foldhash::{HashMap, HashSet};

use super::conflict::precedence;
use super::key::{Key, keys, refused_keys};
use super::name;
use crate::kinds::{Kind, Object, ObjectId, Refused};
use crate::source::Sourced;
use crate::yaml::did_you_mean;

/// All objects, by identity and by key.
#[derive(Debug, Default)]
pub(super) struct Index {
    objects: HashMap<ObjectId, Sourced>,
    /// In the order in which objects take precedence.
    by_key: HashMap<Key, Vec<Sourced>>,
    /// Objects without a good version.
    refused: HashMap<ObjectId, Arc<Refused>>,
    refused_by_key: HashMap<Key, Vec<Arc<Refused>>>,
}

impl Index {
    /// Puts an object in the place of the one with its identity; returns the keys that are affected.
    pub(super) fn insert(&mut self, one: Sourced) -> HashSet<Key> {
        let mut affected = self.remove(&one.object.id);
        // A key that an object has twice files it once. Looking for the object among those of the key instead would make the
        // start quadratic: thousands of objects share the key of their namespace.
        let keys: HashSet<Key> = keys(&one.object).into_iter().collect();
        for key in &keys {
            let filed = self.by_key.entry(key.clone()).or_default();
            let place = filed.partition_point(|other| precedence(&other.object) <= precedence(&one.object));
            filed.insert(place, one.clone());
        }
        affected.extend(keys);
        self.objects.insert(one.object.id.clone(), one);
        affected
    }

    /// Removes an object; returns the keys that are affected.
    pub(super) fn remove(&mut self, id: &ObjectId) -> HashSet<Key> {
        let mut affected: HashSet<Key> = self.readmit(id).into_iter().collect();
        let Some(one) = self.objects.remove(id) else { return affected };
        affected.extend(keys(&one.object));
        for key in &affected {
            if let Some(filed) = self.by_key.get_mut(key) {
                filed.retain(|other| other.object.id != *id);
                if filed.is_empty() {
                    self.by_key.remove(key);
                }
            }
        }
        affected
    }

    /// Records that an object is refused; returns the keys that are affected.
    pub(super) fn refuse(&mut self, refused: Arc<Refused>) -> HashSet<Key> {
        let mut affected = self.remove(&refused.id);
        for key in refused_keys(&refused) {
            self.refused_by_key.entry(key.clone()).or_default().push(Arc::clone(&refused));
            affected.insert(key);
        }
        self.refused.insert(refused.id.clone(), refused);
        affected
    }

    fn readmit(&mut self, id: &ObjectId) -> Vec<Key> {
        let Some(refused) = self.refused.remove(id) else { return Vec::new() };
        let keys = refused_keys(&refused);
        for key in &keys {
            if let Some(filed) = self.refused_by_key.get_mut(key) {
                filed.retain(|other| other.id != *id);
                if filed.is_empty() {
                    self.refused_by_key.remove(key);
                }
            }
        }
        keys
    }

    pub(super) fn get(&self, id: &ObjectId) -> Option<&Sourced> {
        self.objects.get(id)
    }

    /// Every declared host, in no order.
    fn hosts(&self) -> impl Iterator<Item = &str> {
        self.by_key.keys().filter_map(|key| match key {
            Key::Host(host) => Some(host.as_str()),
            _ => None,
        })
    }
}

/// Looks objects up, and records by which keys.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    index: &'a Index,
    reads: RefCell<HashSet<u64>>,
    hints: &'a Hints,
    lacks_hints: Cell<bool>,
}

/// How many more spellings are searched for: a hint costs a look at every host, so a change with thousands of broken
/// references gets hints for the first ones only.
#[derive(Debug)]
pub(super) struct Hints(Cell<usize>);

impl Default for Hints {
    fn default() -> Self {
        Self(Cell::new(MAX_HINTS))
    }
}

impl Hints {
    pub(super) fn none() -> Self {
        Self(Cell::new(0))
    }

    pub(super) fn are_left(&self) -> bool {
        self.0.get() > 0
    }
}

const MAX_HINTS: usize = 10;

impl<'a> Reader<'a> {
    pub(super) fn new(index: &'a Index, hints: &'a Hints) -> Self {
        Self { index, reads: RefCell::default(), hints, lacks_hints: Cell::default() }
    }

    /// Whether a name that means no service was found, and no hint was left for it.
    pub(super) fn lacks_hints(&self) -> bool {
        self.lacks_hints.get()
    }

    /// The keys that were looked up.
    pub(super) fn into_reads(self) -> Vec<u64> {
        self.reads.into_inner().into_iter().collect()
    }

    /// The objects with a key, in the order in which they take precedence. The lookup is recorded, except for wildcards:
    /// a change of one of those reaches every host that it covers.
    pub(super) fn objects(&self, key: &Key) -> &'a [Sourced] {
        if key.wildcard().is_none() {
            self.reads.borrow_mut().insert(key.hash());
        }
        self.index.by_key.get(key).map(Vec::as_slice).unwrap_or_default()
    }

    /// The objects for a host, by its own name and by the wildcards that cover it, the most specific ones first.
    pub(super) fn for_host(&self, host: &str, key: fn(String) -> Key) -> impl Iterator<Item = &'a Object> {
        let exact = self.objects(&key(host.to_owned()));
        let wildcards: Vec<&Sourced> =
            name::wildcards_of(host).flat_map(|wildcard| self.objects(&key(wildcard))).collect();
        exact.iter().chain(wildcards).map(|one| &*one.object)
    }

    /// An object of these kinds for a host that is refused.
    pub(super) fn refused(&self, host: &str, kinds: &[Kind]) -> Option<&'a Refused> {
        let key = Key::RefusedHost(host.to_owned());
        self.reads.borrow_mut().insert(key.hash());
        let wildcards = name::wildcards_of(host).map(Key::RefusedHost);
        let found =
            std::iter::once(key).chain(wildcards).filter_map(|key| self.index.refused_by_key.get(&key));
        let is_meant = |refused: &&Arc<Refused>| {
            kinds.contains(&refused.id.kind)
                && refused.hosts.iter().any(|name| {
                    name::is_wildcard(name) || self.find(name, &refused.id.namespace).as_deref() == Some(host)
                })
        };
        found.flatten().find(is_meant).map(|refused| &**refused)
    }

    /// The policies of a namespace that are refused.
    pub(super) fn refused_policies(&self, namespace: &str) -> impl Iterator<Item = &'a Refused> {
        let key = Key::Policies(namespace.to_owned());
        self.reads.borrow_mut().insert(key.hash());
        self.index.refused_by_key.get(&key).into_iter().flatten().map(|refused| &**refused)
    }

    pub(super) fn is_declared(&self, host: &str) -> bool {
        !self.objects(&Key::Host(host.to_owned())).is_empty()
    }

    /// The declared service that an Istio object of `namespace` means by `name`.
    pub(super) fn find(&self, name: &str, namespace: &str) -> Option<String> {
        name::candidates(name, namespace).into_iter().find(|host| self.is_declared(host))
    }

    /// The text about a name that means no service.
    pub(super) fn unknown(&self, name: &str, namespace: &str) -> String {
        format!("found `{name}`, expected a host that is declared{}", self.hint(name, namespace))
    }

    fn hint(&self, name: &str, namespace: &str) -> String {
        let left = self.hints.0.get();
        if left == 0 {
            self.lacks_hints.set(true);
            return String::new();
        }
        self.hints.0.set(left - 1);
        let mut hosts: Vec<&str> = self.index.hosts().collect();
        hosts.sort_unstable();
        match did_you_mean(name, hosts.iter().copied()) {
            hint if hint.is_empty() => did_you_mean(&name::complete(name, namespace), hosts),
            hint => hint,
        }
    }
}
