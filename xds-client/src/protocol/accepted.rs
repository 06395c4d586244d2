//! Accepted values, and the members of collections among them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use bytes::Bytes;
use mesh_core::config::Name;

use crate::resource::AnyResource;

use super::{DataErrors, Received, ServerId};

/// Whether watchers must read the resource again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Effect {
    Changed,
    Unchanged,
}

/// The server of a response, and when it came.
#[derive(Debug, Clone, Copy)]
pub(super) struct Source {
    pub(super) server: ServerId,
    pub(super) data_errors: DataErrors,
    pub(super) now: Instant,
}

/// A value in use.
#[derive(Clone)]
pub(super) struct Accepted {
    pub(super) resource: AnyResource,
    pub(super) bytes: Bytes,
    pub(super) version: Name,
    /// `None`: read from a snapshot of an earlier run.
    pub(super) server: Option<ServerId>,
    pub(super) at: Instant,
}

impl Accepted {
    pub(super) fn new(received: &Received, version: Name, source: Source) -> Self {
        let Received { resource, bytes, .. } = received;
        let (resource, bytes) = (resource.clone(), bytes.clone());
        Self { resource, bytes, version, server: Some(source.server), at: source.now }
    }
}

impl std::fmt::Debug for Accepted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Accepted")
            .field("version", &self.version)
            .field("server", &self.server)
            .finish_non_exhaustive()
    }
}

/// The members of a collection (TR-56).
#[derive(Default)]
pub(super) struct Members {
    pub(super) in_use: BTreeMap<Name, Accepted>,
    /// The members whose last version was refused, in use with an earlier one or not at all.
    refused: BTreeSet<Name>,
}

impl Members {
    pub(super) fn insert(&mut self, name: &Name, accepted: Accepted) -> Effect {
        let bytes = accepted.bytes.clone();
        match self.in_use.insert(name.clone(), accepted) {
            Some(before) if before.bytes == bytes => Effect::Unchanged,
            _ => Effect::Changed,
        }
    }

    pub(super) fn remove(&mut self, name: &Name) -> Effect {
        if self.in_use.remove(name).is_some() { Effect::Changed } else { Effect::Unchanged }
    }

    /// The last version of a member was refused.
    pub(super) fn refuse(&mut self, name: &Name) {
        self.refused.insert(name.clone());
    }

    /// Ends the refusal of a member. Whether it was the last refusal.
    pub(super) fn heal(&mut self, name: &Name) -> bool {
        self.refused.remove(name) && self.refused.is_empty()
    }

    pub(super) fn has_refused(&self) -> bool {
        !self.refused.is_empty()
    }

    pub(super) fn heal_all(&mut self) {
        self.refused.clear();
    }

    /// Keeps only the members that this server has sent; returns the names of the others.
    pub(super) fn retain_of(&mut self, server: ServerId) -> Vec<Name> {
        let mut others = Vec::new();
        self.in_use.retain(|name, member| {
            let is_kept = member.server == Some(server);
            if !is_kept {
                others.push(name.clone());
            }
            is_kept
        });
        others
    }

    /// The members without a problem.
    pub(super) fn sound(&self) -> impl Iterator<Item = (&Name, &Accepted)> {
        self.in_use.iter().filter(|(name, _)| !self.refused.contains(*name))
    }
}
