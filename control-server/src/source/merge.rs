//! What all sources say together: one object per kind, namespace and name.
//!
//! Of several objects with the same id one is in use: a written one before a remembered one, then one of an earlier source,
//! then by file and line. The others are reported, unless they are only remembered. Where there
//! is none, an object that is refused for its errors is handed on as such: what it pins or restricts must not be open to all in
//! its stead. Nothing comes out before every source has
//! been read once; a source that is late delays the first changes, and never removes anything.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use foldhash::HashMap;

use super::{Event, Key, Place, Sourced};
use crate::finding::Finding;
use crate::kinds::{Foreign, Object, ObjectId, Refused};
use crate::state::{Code, Diagnostic};
use crate::yaml::FieldPath;

/// The number of a source; an earlier one goes first where several have an object of the same id.
pub(crate) type SourceIndex = usize;

/// A change of the object that is in use for an id.
#[derive(Debug, Clone)]
pub(crate) enum Change {
    /// The object is new, or its content has changed.
    Upsert(Sourced),
    /// The same content in another place or with other annotations, or it has become the last good version of a broken one, or
    /// is that no more. Diagnostics depend on it, and which of several objects goes first; nothing else that clients see.
    Moved(Sourced),
    /// The object has errors, and there is no good version of it anywhere. Comes again when other hosts can be read of it.
    Refused(Arc<Refused>),
    /// There is no such object any more, refused or not.
    Delete(ObjectId),
}

impl Change {
    pub(crate) fn id(&self) -> &ObjectId {
        match self {
            Self::Upsert(one) | Self::Moved(one) => &one.object.id,
            Self::Refused(refused) => &refused.id,
            Self::Delete(id) => id,
        }
    }

    /// The object in use from now on.
    pub(crate) fn object(&self) -> Option<&Arc<Object>> {
        match self {
            Self::Upsert(one) | Self::Moved(one) => Some(&one.object),
            Self::Refused(_) | Self::Delete(_) => None,
        }
    }
}

/// Changes that take effect together.
#[derive(Debug, Clone, Default)]
pub(crate) struct Changes {
    /// At most one of each id, in the order of ids.
    pub(crate) objects: Vec<Change>,
    /// Everything that sources found wrong, and objects that are not in use; the same allocation until it changes.
    pub(crate) diagnostics: Arc<[Diagnostic]>,
    /// How many documents were passed over because they are none of the known kinds.
    pub(crate) passed_over: usize,
}

/// Merges sources.
#[derive(Debug)]
pub(crate) struct Merge {
    unsynced: BTreeSet<SourceIndex>,
    /// Never empty, the one in use first.
    candidates: HashMap<ObjectId, Vec<Candidate>>,
    /// What was in use before the changes that are not handed out yet.
    touched: BTreeMap<ObjectId, Option<Claim>>,
    reported: BTreeMap<(SourceIndex, Place), Vec<Diagnostic>>,
    passed_over: BTreeMap<(SourceIndex, Place), Vec<Foreign>>,
    hidden: BTreeSet<(SourceIndex, Place)>,
    /// About objects that are not in use, by the id of the one that is.
    duplicates: BTreeMap<ObjectId, Vec<Diagnostic>>,
    /// All of them; `None` if they have changed.
    diagnostics: Option<Arc<[Diagnostic]>>,
}

#[derive(Debug)]
struct Candidate {
    source: SourceIndex,
    place: Place,
    /// As in the key of its events.
    index: usize,
    claim: Claim,
}

/// What a source has of an object.
#[derive(Debug, Clone)]
enum Claim {
    Object(Sourced),
    Refused(Arc<Refused>),
}

impl Merge {
    /// Of this many sources.
    pub(crate) fn new(sources: usize) -> Self {
        Self {
            unsynced: (0..sources).collect(),
            candidates: HashMap::default(),
            touched: BTreeMap::new(),
            reported: BTreeMap::new(),
            passed_over: BTreeMap::new(),
            hidden: BTreeSet::new(),
            duplicates: BTreeMap::new(),
            diagnostics: None,
        }
    }

    /// Takes events of a source.
    pub(crate) fn take(&mut self, source: SourceIndex, events: Vec<Event>) {
        for event in events {
            match event {
                Event::Upsert(key, one) => self.claim(source, key, Claim::Object(one)),
                Event::Refuse(key, refused) => self.claim(source, key, Claim::Refused(refused)),
                Event::Delete(key) => self.delete(source, &key),
                Event::Diagnostics(place, found) => self.report(source, place, found),
                Event::PassedOver(place, found) => drop(self.passed_over.insert((source, place), found)),
                Event::Hidden(place, true) => drop(self.hidden.insert((source, place))),
                Event::Hidden(place, false) => drop(self.hidden.remove(&(source, place))),
                // For the keeper of last good texts.
                Event::Text(..) => {}
                Event::Synced => drop(self.unsynced.remove(&source)),
            }
        }
    }

    /// Every source has delivered its first set.
    pub(crate) fn is_synced(&self) -> bool {
        self.unsynced.is_empty()
    }

    /// The places that may hold objects which nothing is known of.
    pub(crate) fn hidden(&self) -> impl Iterator<Item = &Place> {
        self.hidden.iter().map(|(_, place)| place)
    }

    /// The changes since the last call; `None` until every source is synced.
    pub(crate) fn changes(&mut self) -> Option<Changes> {
        self.is_synced().then(|| self.changes_so_far())
    }

    /// The same, of the sources that are there.
    pub(crate) fn changes_so_far(&mut self) -> Changes {
        let touched = std::mem::take(&mut self.touched);
        let mut objects = Vec::new();
        for (id, before) in touched {
            self.find_duplicates(&id);
            let after = self.candidates.get(&id).map(|all| &all[0].claim);
            objects.extend(change(id, before.as_ref(), after));
        }
        let passed_over = self.passed_over.values().map(Vec::len).sum();
        Changes { objects, diagnostics: self.all_diagnostics(), passed_over }
    }

    /// The documents that are none of the known kinds, with their files.
    pub(crate) fn passed_over(&self) -> impl Iterator<Item = (&Place, &Foreign)> {
        let all = self.passed_over.iter();
        all.flat_map(|((_, place), found)| found.iter().map(move |one| (place, one)))
    }

    fn claim(&mut self, source: SourceIndex, key: Key, claim: Claim) {
        self.touch(&key.id);
        // Nearly always there is one, and there are many objects.
        let all = self.candidates.entry(key.id.clone()).or_insert_with(|| Vec::with_capacity(1));
        all.retain(|candidate| !candidate.is(source, &key));
        all.push(Candidate { source, place: key.place, index: key.index, claim });
        all.sort_by(|left, right| left.rank().cmp(&right.rank()));
    }

    fn delete(&mut self, source: SourceIndex, key: &Key) {
        self.touch(&key.id);
        if let Some(all) = self.candidates.get_mut(&key.id) {
            all.retain(|candidate| !candidate.is(source, key));
            if all.is_empty() {
                self.candidates.remove(&key.id);
            }
        }
    }

    fn touch(&mut self, id: &ObjectId) {
        if !self.touched.contains_key(id) {
            let before = self.candidates.get(id).map(|all| all[0].claim.clone());
            self.touched.insert(id.clone(), before);
        }
    }

    fn report(&mut self, source: SourceIndex, place: Place, found: Vec<Diagnostic>) {
        self.diagnostics = None;
        if found.is_empty() {
            self.reported.remove(&(source, place));
        } else {
            self.reported.insert((source, place), found);
        }
    }

    fn find_duplicates(&mut self, id: &ObjectId) {
        let all = self.candidates.get(id).map(Vec::as_slice).unwrap_or_default();
        let found: Vec<Diagnostic> = match all {
            [winner, others @ ..] => others.iter().filter_map(|other| winner.displaces(other)).collect(),
            [] => Vec::new(),
        };
        let before = if found.is_empty() {
            self.duplicates.remove(id)
        } else {
            self.duplicates.insert(id.clone(), found)
        };
        if before.as_ref() != self.duplicates.get(id) {
            self.diagnostics = None;
        }
    }

    /// Everything that sources found wrong, and objects that are not in use.
    pub(crate) fn all_diagnostics(&mut self) -> Arc<[Diagnostic]> {
        let all = self.diagnostics.get_or_insert_with(|| {
            self.reported.values().chain(self.duplicates.values()).flatten().cloned().collect()
        });
        Arc::clone(all)
    }
}

impl Candidate {
    /// Whether it has this key; `key` is of the same object.
    fn is(&self, source: SourceIndex, key: &Key) -> bool {
        self.source == source && self.place == key.place && self.index == key.index
    }

    fn rank(&self) -> impl Ord + '_ {
        let (class, position) = match &self.claim {
            Claim::Object(one) => (u8::from(one.stale), one.object.position()),
            Claim::Refused(refused) => (2, refused.origin.start()),
        };
        (class, self.source, &self.place, position, self.index)
    }

    /// That the other one is not in use, unless it is only remembered or has errors anyway.
    fn displaces(&self, other: &Self) -> Option<Diagnostic> {
        let (Claim::Object(one), Claim::Object(other)) = (&self.claim, &other.claim) else { return None };
        let (file, line) = (&self.place, one.object.position().line);
        let message = format!("an object of this kind, namespace and name stands in {file}:{line} already");
        let path = FieldPath::root().field("metadata").field("name");
        (!other.stale).then(|| other.object.diagnostic(&Finding::error(path, message).code(Code::Duplicate)))
    }
}

fn change(id: ObjectId, before: Option<&Claim>, after: Option<&Claim>) -> Option<Change> {
    match (before, after) {
        (None, None) => None,
        (Some(_), None) => Some(Change::Delete(id)),
        (Some(Claim::Refused(before)), Some(Claim::Refused(after))) if before == after => None,
        (_, Some(Claim::Refused(after))) => Some(Change::Refused(Arc::clone(after))),
        (Some(Claim::Object(before)), Some(Claim::Object(after)))
            if before.object.has_content_of(&after.object) =>
        {
            let is_same = before.stale == after.stale && before.object.has_origin_of(&after.object);
            (!is_same).then(|| Change::Moved(after.clone()))
        }
        (_, Some(Claim::Object(after))) => Some(Change::Upsert(after.clone())),
    }
}
