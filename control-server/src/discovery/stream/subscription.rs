//! The subscription to one type: names and the wildcard.

use std::collections::HashSet;
use std::sync::Arc;

use super::request::Ask;
use crate::resources::{ResourceKind, Slot, canonical_name};

/// The current subscription of one type on one stream.
#[derive(Debug, Default)]
pub(super) struct Subscription {
    names: HashSet<Arc<str>>,
    name_bytes: usize,
    /// Those of `names` with letters in upper case.
    respelt: HashSet<Arc<str>>,
    wildcard: bool,
    /// A request of this type has had names.
    ever_named: bool,
    /// There has been a request of this type.
    ever_asked: bool,
}

/// Whether a type supports the wildcard: only LDS and CDS do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wildcard {
    Known,
    Unknown,
}

/// What a request has changed.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct SubscriptionChange {
    /// Names that were not subscribed before.
    pub(super) added: Vec<Arc<str>>,
    /// Names that were, and have been subscribed once more.
    pub(super) again: Vec<Arc<str>>,
    /// Names that are subscribed no more.
    pub(super) removed: Vec<Arc<str>>,
    /// The wildcard has been turned on (`true`) or off.
    pub(super) wildcard: Option<bool>,
}

impl SubscriptionChange {
    pub(super) fn is_nothing(&self) -> bool {
        *self == Self::default()
    }

    /// The number of changes.
    pub(super) fn len(&self) -> usize {
        let names = self.added.len() + self.again.len() + self.removed.len();
        names + usize::from(self.wildcard.is_some())
    }
}

impl Subscription {
    /// SotW: takes the names of a request, which are always the full set (TR-09). `shared` returns a name's one allocation.
    pub(super) fn replace(
        &mut self,
        names: &[String],
        rule: Wildcard,
        shared: impl Fn(&str) -> Arc<str>,
    ) -> SubscriptionChange {
        let explicit = names.iter().any(|name| name == WILDCARD);
        // CS-07: an empty list is the wildcard only while no request of this type had names on this stream.
        let implicit = names.is_empty() && !self.ever_named;
        // CS-08: without `*` among the names the wildcard ends, however it began.
        let mut change = self.turn_wildcard(rule == Wildcard::Known && (explicit || implicit));
        self.ever_named |= !names.is_empty();
        let is_name = |name: &&str| rule == Wildcard::Unknown || *name != WILDCARD;
        let wanted: HashSet<&str> = names.iter().map(String::as_str).filter(is_name).collect();
        change.removed = self.names.extract_if(|name| !wanted.contains(&**name)).collect();
        // Nearly every request is an ACK and repeats what is known.
        if wanted.len() > self.names.len() {
            change.added =
                wanted.into_iter().filter(|name| !self.names.contains(*name)).map(shared).collect();
            self.names.extend(change.added.iter().cloned());
        }
        self.count_names(&change);
        change
    }

    /// Delta: takes the changes of a request.
    pub(super) fn change(
        &mut self,
        subscribe: &[String],
        unsubscribe: &[String],
        rule: Wildcard,
        shared: impl Fn(&str) -> Arc<str>,
    ) -> SubscriptionChange {
        let knows_wildcard = rule == Wildcard::Known;
        // CS-07: in a later request an empty list means no change (TR-50).
        let implicit = !self.ever_asked && subscribe.is_empty() && unsubscribe.is_empty();
        self.ever_asked = true;
        let is_wildcard = |name: &String| knows_wildcard && name == WILDCARD;
        let (on, off) = (subscribe.iter().any(is_wildcard), unsubscribe.iter().any(is_wildcard));
        let mut change = self.turn_wildcard(knows_wildcard && (on || implicit || (self.wildcard && !off)));
        // CS-11: names that are not subscribed are no-ops.
        let gone = unsubscribe.iter().filter(|name| !is_wildcard(name));
        change.removed = gone.filter_map(|name| self.names.take(name.as_str())).collect();
        // A name counts once, however often the request has it.
        let mut seen = HashSet::new();
        for name in subscribe.iter().filter(|name| !is_wildcard(name) && seen.insert(name.as_str())) {
            match self.names.get(name.as_str()) {
                Some(known) => change.again.push(Arc::clone(known)),
                None => {
                    let name = shared(name);
                    self.names.insert(Arc::clone(&name));
                    change.added.push(name);
                }
            }
        }
        self.count_names(&change);
        change
    }

    fn count_names(&mut self, change: &SubscriptionChange) {
        for name in &change.removed {
            self.respelt.remove(name);
        }
        let has_capitals = |name: &&Arc<str>| name.bytes().any(|byte| byte.is_ascii_uppercase());
        self.respelt.extend(change.added.iter().filter(has_capitals).cloned());
        let bytes = |names: &[Arc<str>]| -> usize { names.iter().map(|name| name.len()).sum() };
        self.name_bytes = self.name_bytes + bytes(&change.added) - bytes(&change.removed);
    }

    fn turn_wildcard(&mut self, wildcard: bool) -> SubscriptionChange {
        let turned = wildcard != self.wildcard;
        self.wildcard = wildcard;
        SubscriptionChange { wildcard: turned.then_some(wildcard), ..SubscriptionChange::default() }
    }

    /// Names that stand for this one, with other letters in upper case.
    pub(super) fn spellings_of<'a>(
        &'a self,
        slot: Slot,
        name: &'a str,
    ) -> impl Iterator<Item = &'a Arc<str>> {
        let respelt = self.respelt.iter().filter(move |_| slot.kind() == ResourceKind::Listener);
        respelt.filter(move |spelling| spelling.eq_ignore_ascii_case(name))
    }

    /// Names and their bytes after a request, which is not taken yet; rather more than less.
    pub(super) fn size_after(&self, ask: &Ask) -> Size {
        match ask {
            Ask::Whole { names, .. } => Size { names: names.len(), bytes: bytes(names) },
            Ask::Change { subscribe, unsubscribe, .. } => {
                let known = |name: &&String| self.names.contains(name.as_str());
                let gone: HashSet<&str> = unsubscribe.iter().filter(known).map(String::as_str).collect();
                let is_new = |name: &&str| !self.names.contains(*name) || gone.contains(*name);
                let new: HashSet<&str> = subscribe.iter().map(String::as_str).filter(is_new).collect();
                let length = |names: &HashSet<&str>| names.iter().map(|name| name.len()).sum::<usize>();
                Size {
                    names: self.names.len() - gone.len() + new.len(),
                    bytes: self.name_bytes - length(&gone) + length(&new),
                }
            }
        }
    }

    /// Bytes of all names together.
    pub(super) fn name_bytes(&self) -> usize {
        self.name_bytes
    }

    pub(super) fn names(&self) -> &HashSet<Arc<str>> {
        &self.names
    }

    pub(super) fn is_wildcard(&self) -> bool {
        self.wildcard
    }

    pub(super) fn wants(&self, name: &str) -> bool {
        self.wildcard || self.names.contains(name)
    }
}

/// The size of a subscription.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Size {
    pub(super) names: usize,
    pub(super) bytes: usize,
}

fn bytes(names: &[String]) -> usize {
    names.iter().map(String::len).sum()
}

/// Whether a resource stands under another spelling of this name.
pub(super) fn is_respelt(slot: Slot, name: &str) -> bool {
    *canonical_name(slot.kind(), name) != *name
}

const WILDCARD: &str = "*";
