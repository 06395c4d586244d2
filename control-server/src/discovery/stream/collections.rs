//! Glob collections (TR-56): one name stands for all members, and each member is a resource.
//!
//! A collection is held as one shared value, the collection as it was sent last: thousands of endpoints on
//! thousands of streams cost a pointer per stream. A member is not served by its own name.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::sync::Arc;

use super::held::Held;
use super::subject::{Content, Subject};
use super::subscription::Subscription;
use crate::resources::{ClientScope, Collection, EncodedResource, ResourceSet, Slot, glob_of};

impl Subject for Collection {
    /// Versions by the names of members.
    type Claim = HashMap<Box<str>, Box<str>>;

    const HAS_MEMBERS: bool = true;

    fn find(set: &ResourceSet, _: Slot, client: &ClientScope, name: &str) -> Option<Arc<Self>> {
        set.collection_for(name, client).cloned()
    }

    /// There is no wildcard for collections.
    fn all<'a>(_: &'a ResourceSet, _: Slot, _: &ClientScope) -> Vec<&'a Arc<Self>> {
        Vec::new()
    }

    fn name(&self) -> &Arc<str> {
        &self.name
    }

    fn version(&self) -> &Arc<str> {
        Self::version(self)
    }

    fn claims(holds: &HashMap<String, String>, subscription: &Subscription) -> Vec<(Arc<str>, Self::Claim)> {
        let mut claims: HashMap<Arc<str>, Self::Claim> = HashMap::new();
        for (name, version) in holds {
            if let Some(glob) =
                glob_of(name).and_then(|glob| subscription.names().get(glob.as_str()).cloned())
            {
                claims.entry(glob).or_default().insert(name.as_str().into(), version.as_str().into());
            }
        }
        claims.into_iter().collect()
    }

    fn is_claimed(&self, claim: &Self::Claim) -> bool {
        claim.len() == self.members().len() && self.members().iter().all(|member| is_held(claim, member))
    }

    fn claimed_version(_: &Self::Claim) -> Option<Arc<str>> {
        None
    }

    fn resource(self: &Arc<Self>) -> Option<Arc<EncodedResource>> {
        None
    }

    fn tell(self: &Arc<Self>, before: Option<&Held<Self>>, content: &mut Content) {
        let all = self.members().iter();
        match before {
            None => content.resources.extend(all.cloned()),
            Some(Held::Sent(before)) => tell_difference(&before.subject, self, content),
            Some(Held::Claimed(claim)) => {
                content.resources.extend(all.filter(|member| !is_held(claim, member)).cloned());
                tell_gone(before, self, content);
            }
            Some(Held::Perhaps(before)) => {
                content.resources.extend(all.cloned());
                tell_gone(Some(&**before), self, content);
            }
        }
        if self.members().is_empty() {
            content.removed.push(Arc::clone(&self.name));
        }
    }

    fn tell_removed(name: &Arc<str>, before: Option<&Held<Self>>, content: &mut Content) {
        let nothing = Self::new(Arc::clone(name), Vec::new());
        tell_gone(before, &nothing, content);
        content.removed.push(Arc::clone(name));
    }
}

/// Adds the members that have been removed since.
fn tell_gone(before: Option<&Held<Collection>>, now: &Collection, content: &mut Content) {
    match before {
        None => {}
        Some(Held::Sent(before)) => {
            let gone = before.subject.members().iter().filter(|member| now.member(&member.name).is_none());
            content.removed.extend(gone.map(|member| Arc::clone(&member.name)));
        }
        Some(Held::Claimed(claim)) => {
            let gone = claim.keys().filter(|name| now.member(name).is_none());
            content.removed.extend(gone.map(|name| Arc::from(&**name)));
        }
        Some(Held::Perhaps(before)) => tell_gone(Some(&**before), now, content),
    }
}

fn is_held(claim: &HashMap<Box<str>, Box<str>>, member: &EncodedResource) -> bool {
    claim.get(&*member.name).is_some_and(|version| **version == *member.version)
}

/// Both are in the order of their names.
fn tell_difference(before: &Collection, now: &Collection, content: &mut Content) {
    let (mut old, mut new) = (before.members().iter().peekable(), now.members().iter().peekable());
    loop {
        let order = match (old.peek(), new.peek()) {
            (Some(old), Some(new)) => old.name.cmp(&new.name),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => return,
        };
        let gone = if order.is_le() { old.next() } else { None };
        let member = if order.is_ge() { new.next() } else { None };
        match (gone, member) {
            (Some(one), Some(other)) if one.version == other.version => {}
            (_, Some(member)) => content.resources.push(Arc::clone(member)),
            (Some(gone), None) => content.removed.push(Arc::clone(&gone.name)),
            (None, None) => {}
        }
    }
}
