//! The files of a source, as far as they have been read, and the events of their changes.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::entry::Entry;
use super::{Event, Key, Place, SourceIndex, Sourced};
use crate::kinds::{ObjectId, Refused};

/// Files by name. Every change becomes events, which wait until they are taken.
#[derive(Debug, Default)]
pub(crate) struct Entries {
    source: SourceIndex,
    by_name: BTreeMap<Place, Entry>,
    events: Vec<Event>,
}

impl Entries {
    /// Those of the source of this number.
    pub(crate) fn of(source: SourceIndex) -> Self {
        Self { source, ..Self::default() }
    }

    pub(super) fn source(&self) -> SourceIndex {
        self.source
    }

    /// Reads a text.
    pub(crate) fn read(&mut self, name: &str, text: &str) {
        let name = Place::from(name);
        let entry = Entry::read(self.source, &name, text, self.get(&name));
        self.replace(name, entry);
    }

    pub(super) fn get(&self, name: &str) -> Option<&Entry> {
        self.by_name.get(name)
    }

    /// For what is noted about a file without a change of its content.
    pub(super) fn get_mut(&mut self, name: &str) -> Option<&mut Entry> {
        self.by_name.get_mut(name)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&Place, &Entry)> {
        self.by_name.iter()
    }

    /// Replaces what a file was before.
    pub(super) fn replace(&mut self, name: Place, entry: Entry) {
        let nothing = Entry::default();
        let previous = self.by_name.get(&name).unwrap_or(&nothing);
        let (before, after) = (keyed(&name, previous), keyed(&name, &entry));
        let deleted = before.keys().filter(|key| !after.contains_key(key)).cloned().map(Event::Delete);
        self.events.extend(deleted);
        if previous.diagnostics != entry.diagnostics {
            self.events.push(Event::Diagnostics(Arc::clone(&name), entry.diagnostics.clone()));
        }
        if previous.passed_over != entry.passed_over {
            self.events.push(Event::PassedOver(Arc::clone(&name), entry.passed_over.clone()));
        }
        if previous.is_hidden != entry.is_hidden {
            self.events.push(Event::Hidden(Arc::clone(&name), entry.is_hidden));
        }
        if previous.text != entry.text {
            self.events.push(Event::Text(Arc::clone(&name), entry.text.clone()));
        }
        let changed = after.into_iter().filter(|(key, one)| !before.get(key).is_some_and(|old| old.is(one)));
        self.events.extend(changed.map(|(key, reading)| match reading {
            Reading::Object(one) => Event::Upsert(key, one.clone()),
            Reading::Refused(refused) => Event::Refuse(key, Arc::clone(refused)),
        }));
        self.by_name.insert(name, entry);
    }

    /// Removes files by their names.
    pub(crate) fn retain(&mut self, wanted: impl Fn(&str) -> bool) {
        let unwanted = self.by_name.keys().filter(|name| !wanted(name)).cloned().collect::<Vec<_>>();
        unwanted.iter().for_each(|name| self.remove(name));
    }

    pub(super) fn remove(&mut self, name: &Place) {
        if self.by_name.contains_key(name) {
            self.replace(Arc::clone(name), Entry::default());
            self.by_name.remove(name);
        }
    }

    /// The events since the last call.
    pub(crate) fn take_events(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.events)
    }
}

/// What was read of an object.
#[derive(Debug, Clone, Copy)]
enum Reading<'a> {
    Object(&'a Sourced),
    Refused(&'a Arc<Refused>),
}

impl Reading<'_> {
    fn id(&self) -> &ObjectId {
        match self {
            Self::Object(one) => &one.object.id,
            Self::Refused(refused) => &refused.id,
        }
    }

    /// Whether both were read at once.
    fn is(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Object(one), Self::Object(other)) => {
                one.stale == other.stale && Arc::ptr_eq(&one.object, &other.object)
            }
            (Self::Refused(one), Self::Refused(other)) => Arc::ptr_eq(one, other),
            _ => false,
        }
    }
}

fn keyed<'a>(place: &Place, entry: &'a Entry) -> BTreeMap<Key, Reading<'a>> {
    let mut counts: HashMap<ObjectId, usize> = HashMap::new();
    let readings =
        entry.objects.iter().map(Reading::Object).chain(entry.refused.iter().map(Reading::Refused));
    let keyed = readings.map(|reading| {
        let count = counts.entry(reading.id().clone()).or_default();
        let key = Key { place: Arc::clone(place), id: reading.id().clone(), index: *count };
        *count += 1;
        (key, reading)
    });
    keyed.collect()
}
