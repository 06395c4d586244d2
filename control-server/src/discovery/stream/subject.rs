//! The subject of a name: one resource, or the members of a collection.

use std::collections::HashMap;
use std::fmt::Debug;
use std::sync::Arc;

use super::held::Held;
use super::subscription::Subscription;
use crate::resources::{ClientScope, EncodedResource, ResourceSet, Slot};

/// The content of a response.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Content {
    pub(super) resources: Vec<Arc<EncodedResource>>,
    /// Names that the client has to forget.
    pub(super) removed: Vec<Arc<str>>,
}

/// A resource or a collection that can be subscribed to by name.
pub(super) trait Subject: Debug + Send + Sync + Sized {
    /// What a client can report as received under a name on an earlier stream.
    type Claim: Debug + Default + Send;

    /// One name is sent as several resources, so the parts that a client has matter.
    const HAS_MEMBERS: bool;

    /// The subject of this name as a client gets it.
    fn find(set: &ResourceSet, slot: Slot, client: &ClientScope, name: &str) -> Option<Arc<Self>>;

    fn all<'a>(set: &'a ResourceSet, slot: Slot, client: &ClientScope) -> Vec<&'a Arc<Self>>;

    fn name(&self) -> &Arc<str>;

    fn version(&self) -> &Arc<str>;

    /// The part of a client's versions that concerns its subscription.
    fn claims(holds: &HashMap<String, String>, subscription: &Subscription) -> Vec<(Arc<str>, Self::Claim)>;

    fn is_claimed(&self, claim: &Self::Claim) -> bool;

    /// The version that a client reports; `None` if it reports none or several.
    fn claimed_version(claim: &Self::Claim) -> Option<Arc<str>>;

    /// Itself, if it is one resource.
    fn resource(self: &Arc<Self>) -> Option<Arc<EncodedResource>>;

    /// Adds the resources that a client with `before` is missing.
    fn tell(self: &Arc<Self>, before: Option<&Held<Self>>, content: &mut Content);

    /// Adds the removals for a client with `before`, after the subject was deleted.
    fn tell_removed(name: &Arc<str>, before: Option<&Held<Self>>, content: &mut Content);
}

impl Subject for EncodedResource {
    /// A version; empty if that is not known.
    type Claim = Box<str>;

    const HAS_MEMBERS: bool = false;

    fn find(set: &ResourceSet, slot: Slot, client: &ClientScope, name: &str) -> Option<Arc<Self>> {
        set.get_for(slot, name, client)
    }

    fn all<'a>(set: &'a ResourceSet, slot: Slot, client: &ClientScope) -> Vec<&'a Arc<Self>> {
        set.all_for(slot, client).collect()
    }

    fn name(&self) -> &Arc<str> {
        &self.name
    }

    fn version(&self) -> &Arc<str> {
        &self.version
    }

    fn claims(holds: &HashMap<String, String>, subscription: &Subscription) -> Vec<(Arc<str>, Box<str>)> {
        let own = |name: &str| subscription.names().get(name).cloned().unwrap_or_else(|| name.into());
        let wanted = holds.iter().filter(|(name, _)| subscription.wants(name));
        wanted.map(|(name, version)| (own(name), version.as_str().into())).collect()
    }

    fn is_claimed(&self, claim: &Box<str>) -> bool {
        *self.version == **claim
    }

    fn claimed_version(claim: &Box<str>) -> Option<Arc<str>> {
        (!claim.is_empty()).then(|| Arc::from(&**claim))
    }

    fn resource(self: &Arc<Self>) -> Option<Arc<EncodedResource>> {
        Some(Arc::clone(self))
    }

    fn tell(self: &Arc<Self>, _: Option<&Held<Self>>, content: &mut Content) {
        content.resources.push(Arc::clone(self));
    }

    fn tell_removed(name: &Arc<str>, _: Option<&Held<Self>>, content: &mut Content) {
        content.removed.push(Arc::clone(name));
    }
}
