//! Resources that an earlier run had accepted: used while the server has not answered.
//!
//! ```text
//! empty ──preload──▶ waiting ──grace over──▶ in use wherever a server has never answered
//!                       └────outage──────▶ in use wherever a server cannot be reached
//! ```
//!
//! A server's answer about a resource ends this for that resource, whatever happens later: a resource that the server has
//! replaced or deleted never returns.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use mesh_core::config::Name;

use super::accepted::Accepted;
use super::resource::Resource;
use super::settings::bounded;
use super::{Received, name};

/// The state of a resource of an earlier run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Leftover {
    /// It is not watched.
    Unwatched,
    /// It is watched, and no server has answered for it.
    Awaited,
    /// A server has sent it, or says that it does not exist.
    Settled,
}

/// Resources of an earlier run, and when they may be used.
#[derive(Debug, Default)]
pub(super) struct LastGood {
    entries: BTreeMap<(String, Name), Accepted>,
    grace: Duration,
    /// When a server was first tried.
    began: Option<Instant>,
    /// The grace is over.
    waited: bool,
}

impl LastGood {
    /// `grace` is how long the servers have to answer before these resources are used.
    pub(super) fn add(
        &mut self,
        now: Instant,
        grace: Duration,
        resources: impl IntoIterator<Item = (String, Received)>,
    ) {
        let entry = |(type_url, received): (String, Received)| {
            let Received { name, version, resource, bytes, .. } = received;
            let version = version.unwrap_or_else(|| "".into());
            ((type_url, name), Accepted { resource, bytes, version, server: None, at: now })
        };
        self.entries.extend(resources.into_iter().map(entry));
        self.grace = bounded(grace);
    }

    pub(super) fn on_opening(&mut self, now: Instant) {
        self.began.get_or_insert(now);
    }

    pub(super) fn has_waited(&self) -> bool {
        self.waited
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        let waits = !self.waited && !self.entries.is_empty();
        self.began.filter(|_| waits).map(|began| began + self.grace)
    }

    /// Whether the grace has ended just now.
    pub(super) fn on_deadline(&mut self, now: Instant) -> bool {
        let ends = self.next_deadline().is_some_and(|deadline| deadline <= now);
        self.waited |= ends;
        ends
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(super) fn contains(&self, type_url: &str, name: &Name) -> bool {
        !self.is_empty() && self.entries.contains_key(&(type_url.to_owned(), name.clone()))
    }

    /// A server of this run has sent the resource, or says that it does not exist.
    pub(super) fn forget(&mut self, type_url: &str, name: &Name) {
        if self.is_empty() {
            return;
        }
        if name::is_collection(name) {
            self.entries
                .retain(|(of, member), _| of != type_url || name::collection(member).as_ref() != Some(name));
        } else {
            self.entries.remove(&(type_url.to_owned(), name.clone()));
        }
    }

    /// Gives the resource its value of an earlier run. Returns whether there was one.
    pub(super) fn restore(&self, type_url: &str, name: &Name, resource: &mut Resource) -> bool {
        if self.entries.is_empty() || !resource.is_requested() || resource.is_accepted() {
            return false;
        }
        if name::is_collection(name) {
            let members = self.entries.range((type_url.to_owned(), "".into())..);
            let members = members.take_while(|((of, _), _)| of == type_url);
            let own = members.filter(|((_, member), _)| name::collection(member).as_ref() == Some(name));
            let own: BTreeMap<Name, Accepted> =
                own.map(|((_, member), accepted)| (member.clone(), accepted.clone())).collect();
            let Some(first) = own.values().next().cloned() else { return false };
            let itself = Received::of_collection(name);
            resource.restore(Accepted {
                resource: itself.resource,
                bytes: itself.bytes,
                version: "".into(),
                ..first
            });
            resource.members.in_use = own;
            return true;
        }
        match self.entries.get(&(type_url.to_owned(), name.clone())) {
            Some(accepted) => {
                resource.restore(accepted.clone());
                true
            }
            None => false,
        }
    }
}
