//! How every single resource stands with the client, for whoever asks.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use super::Stream;
use super::exchange::Exchange;
use super::held::{Held, Sent};
use crate::discovery::config::ConfigState;
use crate::resources::{EncodedResource, ResourceKind, ResourceSet};

/// One resource, or a name that the client has asked for.
#[derive(Debug)]
pub(in crate::discovery) struct Entry {
    pub(in crate::discovery) kind: ResourceKind,
    pub(in crate::discovery) name: Arc<str>,
    pub(in crate::discovery) state: ConfigState,
    /// What was sent last on this stream.
    pub(in crate::discovery) resource: Option<Arc<EncodedResource>>,
    /// When it was sent first.
    pub(in crate::discovery) sent: Option<Instant>,
    /// Version that the client accepted last on this stream, or says that it holds from an earlier one.
    pub(in crate::discovery) accepted: Option<Arc<str>>,
    /// There is nothing of this name.
    pub(in crate::discovery) is_missing: bool,
    /// Why the client has refused it.
    pub(in crate::discovery) reason: Option<String>,
}

impl Stream {
    /// Every resource that the client has or has asked for, by kind and name.
    pub(in crate::discovery) fn entries(&self, set: Option<&ResourceSet>) -> Vec<Entry> {
        self.exchanges.values().flat_map(|exchange| exchange.entries(set)).collect()
    }

    /// Whether the client was told that a resource is no more, and still asks for it by name.
    pub(in crate::discovery) fn is_deleted(&self, kind: ResourceKind, name: &str) -> bool {
        self.exchanges.get(&kind).is_some_and(|exchange| exchange.ledger().is_deleted(name))
    }
}

impl Exchange {
    fn entries(&self, set: Option<&ResourceSet>) -> Vec<Entry> {
        let ledger = self.ledger();
        let all = set.filter(|_| ledger.subscription().is_wildcard());
        let all = all.into_iter().flat_map(|set| set.of_kind(self.slot()).map(|resource| &resource.name));
        let names: BTreeSet<_> =
            ledger.subscription().names().iter().chain(ledger.held_names()).chain(all).collect();
        let is_missing = |name: &str| set.is_some_and(|set| set.get(self.slot(), name).is_none());
        names.into_iter().map(|name| self.entry(name, is_missing(name))).collect()
    }

    fn entry(&self, name: &Arc<str>, is_missing: bool) -> Entry {
        let unsent = Entry {
            kind: self.slot().kind(),
            name: Arc::clone(name),
            state: ConfigState::NotSent,
            resource: None,
            sent: None,
            accepted: None,
            is_missing,
            reason: None,
        };
        match self.ledger().held(name) {
            Some(Held::Sent(sent)) => self.sent_entry(unsent, sent),
            Some(Held::Claimed(version)) => {
                let is_current = !is_missing && !version.is_empty() && !self.ledger().is_news(name);
                let state = if is_current { ConfigState::Synced } else { ConfigState::NotSent };
                Entry { state, accepted: Some(Arc::clone(version)), ..unsent }
            }
            None => unsent,
        }
    }

    fn sent_entry(&self, unsent: Entry, sent: &Sent) -> Entry {
        let (state, accepted) = match sent.is_refused {
            true => (ConfigState::Error, sent.accepted()),
            false if self.ledger().is_latest(sent) && self.is_outstanding() => {
                (ConfigState::Stale, sent.accepted_before())
            }
            false => (ConfigState::Synced, sent.accepted()),
        };
        let reason = sent.is_refused.then(|| self.refusal().to_owned());
        let resource = Some(Arc::clone(&sent.resource));
        Entry { state, resource, sent: Some(sent.at), accepted, reason, ..unsent }
    }
}
