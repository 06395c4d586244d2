//! The state of every resource at the client, for the admin API.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use super::Stream;
use super::any_ledger::HeldState;
use super::exchange::Exchange;
use crate::discovery::config::ConfigState;
use crate::resources::{EncodedResource, ResourceKind, ResourceSet};

/// One resource, or a subscribed name without one.
#[derive(Debug)]
pub(in crate::discovery) struct Entry {
    pub(in crate::discovery) kind: ResourceKind,
    pub(in crate::discovery) name: Arc<str>,
    pub(in crate::discovery) state: ConfigState,
    /// The version that was sent last on this stream.
    pub(in crate::discovery) version: Option<Arc<str>>,
    /// The resource that was sent last on this stream; `None` for a collection, which is several.
    pub(in crate::discovery) resource: Option<Arc<EncodedResource>>,
    /// When it was sent first.
    pub(in crate::discovery) sent: Option<Instant>,
    /// The version that the client accepted last on this stream, or has from an earlier one.
    pub(in crate::discovery) accepted: Option<Arc<str>>,
    /// No resource of this name exists.
    pub(in crate::discovery) is_missing: bool,
    /// Why the client has refused it.
    pub(in crate::discovery) reason: Option<Arc<str>>,
}

impl Stream {
    /// Every resource that the client has or has subscribed to, by kind and name.
    pub(in crate::discovery) fn entries(&self, set: Option<&ResourceSet>) -> Vec<Entry> {
        self.exchanges.values().flat_map(|exchange| exchange.entries(set)).collect()
    }

    /// Whether the client was told that a resource is deleted, and is still subscribed to it by name.
    pub(in crate::discovery) fn is_deleted(&self, kind: ResourceKind, name: &str) -> bool {
        self.exchanges.get(&kind).is_some_and(|exchange| exchange.ledger().is_deleted(name))
    }
}

impl Exchange {
    fn entries(&self, set: Option<&ResourceSet>) -> Vec<Entry> {
        let (ledger, subscription) = (self.ledger(), self.ledger().subscription());
        let all = set.filter(|_| subscription.is_wildcard()).map(|set| ledger.all_names(set));
        let known = subscription.names().iter().cloned().chain(ledger.held_names());
        let names: BTreeSet<_> = known.chain(all.into_iter().flatten()).collect();
        let is_missing = |name: &str| set.is_some_and(|set| !ledger.exists(set, name));
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
        match self.ledger().held_state(name) {
            HeldState::Nothing => unsent,
            HeldState::Claimed { version, is_current } => {
                let state =
                    if is_current && !is_missing { ConfigState::Synced } else { ConfigState::NotSent };
                Entry { state, accepted: version, ..unsent }
            }
            HeldState::Sent { version, resource, at, refusal, is_latest, accepted, accepted_before } => {
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
