//! How every single resource stands with the client, for whoever asks.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use super::Stream;
use super::books::Standing;
use super::exchange::Exchange;
use crate::discovery::config::ConfigState;
use crate::resources::{EncodedResource, ResourceKind, ResourceSet};

/// One resource, or a name that the client has asked for.
#[derive(Debug)]
pub(in crate::discovery) struct Entry {
    pub(in crate::discovery) kind: ResourceKind,
    pub(in crate::discovery) name: Arc<str>,
    pub(in crate::discovery) state: ConfigState,
    /// The version that was sent last on this stream.
    pub(in crate::discovery) version: Option<Arc<str>>,
    /// What was sent last on this stream; `None` of a collection, which is several.
    pub(in crate::discovery) resource: Option<Arc<EncodedResource>>,
    /// When it was sent first.
    pub(in crate::discovery) sent: Option<Instant>,
    /// Version that the client accepted last on this stream, or says that it holds from an earlier one.
    pub(in crate::discovery) accepted: Option<Arc<str>>,
    /// There is nothing of this name.
    pub(in crate::discovery) is_missing: bool,
    /// Why the client has refused it.
    pub(in crate::discovery) reason: Option<Arc<str>>,
}

impl Stream {
    /// Every resource that the client has or has asked for, by kind and name.
    pub(in crate::discovery) fn entries(&self, set: Option<&ResourceSet>) -> Vec<Entry> {
        self.exchanges.values().flat_map(|exchange| exchange.entries(set)).collect()
    }

    /// Whether the client was told that a resource is no more, and still asks for it by name.
    pub(in crate::discovery) fn is_deleted(&self, kind: ResourceKind, name: &str) -> bool {
        self.exchanges.get(&kind).is_some_and(|exchange| exchange.books().is_deleted(name))
    }
}

impl Exchange {
    fn entries(&self, set: Option<&ResourceSet>) -> Vec<Entry> {
        let (books, subscription) = (self.books(), self.books().subscription());
        let all = set.filter(|_| subscription.is_wildcard()).map(|set| books.all_names(set));
        let known = subscription.names().iter().cloned().chain(books.held_names());
        let names: BTreeSet<_> = known.chain(all.into_iter().flatten()).collect();
        let is_missing = |name: &str| set.is_some_and(|set| !books.exists(set, name));
        names.into_iter().map(|name| self.entry(&name, is_missing(&name))).collect()
    }

    fn entry(&self, name: &Arc<str>, is_missing: bool) -> Entry {
        let unsent = Entry {
            kind: self.kind(),
            name: Arc::clone(name),
            state: ConfigState::NotSent,
            version: None,
            resource: None,
            sent: None,
            accepted: None,
            is_missing,
            reason: None,
        };
        match self.books().standing(name) {
            Standing::Nothing => unsent,
            Standing::Claimed { version, is_current } => {
                let state =
                    if is_current && !is_missing { ConfigState::Synced } else { ConfigState::NotSent };
                Entry { state, accepted: version, ..unsent }
            }
            Standing::Sent { version, resource, at, refusal, is_latest, accepted, accepted_before } => {
                let (state, accepted) = match refusal.is_some() {
                    true => (ConfigState::Error, accepted),
                    false if is_latest && self.is_outstanding() => (ConfigState::Stale, accepted_before),
                    false => (ConfigState::Synced, accepted),
                };
                let version = Some(version);
                Entry { state, version, resource, sent: Some(at), accepted, reason: refusal, ..unsent }
            }
        }
    }
}
