//! Every watched resource, by type and name, from all servers.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use bytes::Bytes;
use mesh_core::config::Name;

use super::accepted::Effect;
use super::resource::Resource;
use super::{ResourceKind, ResourceState, ResourceStatus, ServerId};

/// The resources of one type.
type OfKind = BTreeMap<Name, Resource>;

/// Everything that is watched.
#[derive(Debug, Default)]
pub(super) struct Cache {
    kinds: Vec<(ResourceKind, OfKind)>,
    /// When resources with a time to live expire (TR-35).
    expiries: BTreeSet<(Instant, &'static str, Name)>,
    lives: BTreeMap<(&'static str, Name), Instant>,
}

impl Cache {
    pub(super) fn get(&self, type_url: &str, name: &Name) -> Option<&Resource> {
        self.of_kind(type_url)?.get(name)
    }

    pub(super) fn get_mut(&mut self, type_url: &str, name: &Name) -> Option<&mut Resource> {
        let (_, known) = self.kinds.iter_mut().find(|(kind, _)| kind.type_url == type_url)?;
        known.get_mut(name)
    }

    pub(super) fn of_kind(&self, type_url: &str) -> Option<&OfKind> {
        self.kinds.iter().find(|(kind, _)| kind.type_url == type_url).map(|(_, known)| known)
    }

    /// The resource, made by `make` if it is not known.
    pub(super) fn enter(
        &mut self,
        kind: ResourceKind,
        name: &Name,
        make: impl FnOnce() -> Resource,
    ) -> &mut Resource {
        let known = self.kinds.iter().position(|(known, _)| known.type_url == kind.type_url);
        let index = known.unwrap_or_else(|| {
            self.kinds.push((kind, OfKind::new()));
            self.kinds.len() - 1
        });
        self.kinds[index].1.entry(name.clone()).or_insert_with(make)
    }

    pub(super) fn remove(&mut self, type_url: &str, name: &Name) -> Option<Resource> {
        let (kind, known) = self.kinds.iter_mut().find(|(kind, _)| kind.type_url == type_url)?;
        let (type_url, resource) = (kind.type_url, known.remove(name)?);
        for name in resource.members.in_use.keys().chain([name]) {
            self.live(type_url, name, None);
        }
        Some(resource)
    }

    /// Every watched resource.
    pub(super) fn watched(&self) -> impl Iterator<Item = (ResourceKind, &Name, &Resource)> {
        let all = self
            .kinds
            .iter()
            .flat_map(|(kind, known)| known.iter().map(move |(name, resource)| (*kind, name, resource)));
        all.filter(|(_, _, resource)| resource.watchers > 0)
    }

    /// Names and versions of resources in use from `server`, members of collections too (TR-49, TR-53). Not of resources
    /// that were refused or deleted later: the server may have gone back to that version, and would not send it. Nor if
    /// the server does not count for the resource any more: it has to send it again.
    pub(super) fn versions(
        &self,
        type_url: &str,
        server: ServerId,
        counts: impl Fn(&Resource) -> bool,
    ) -> Vec<(Name, Name)> {
        let resources = self.of_kind(type_url).into_iter().flatten();
        let resources = resources.filter(|(_, resource)| counts(resource));
        let values = resources.flat_map(|(name, resource)| {
            let own = resource.accepted().filter(|_| !super::name::is_collection(name));
            let own = own.filter(|_| resource.is_sound()).map(|accepted| (name, accepted));
            own.into_iter().chain(resource.members.sound())
        });
        let held = values.filter(|(_, accepted)| accepted.server == Some(server));
        held.map(|(name, accepted)| (name.clone(), accepted.version.clone())).collect()
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.kinds.iter().map(|(_, known)| known.len()).sum::<usize>()
            + self.expiries.len()
            + self.lives.len()
    }

    pub(super) fn in_use(&self) -> impl Iterator<Item = (&'static str, &Name, &Name, ServerId, &Bytes)> {
        let all = self.watched().flat_map(|(kind, name, resource)| {
            let own = resource.accepted().filter(|_| !super::name::is_collection(name));
            let values = own.map(|accepted| (name, accepted)).into_iter().chain(&resource.members.in_use);
            values.map(move |(name, accepted)| (kind.type_url, name, accepted))
        });
        all.filter_map(|(type_url, name, accepted)| {
            Some((type_url, name, &accepted.version, accepted.server?, &accepted.bytes))
        })
    }

    // TR-63
    pub(super) fn statuses(&self) -> Vec<ResourceStatus> {
        self.watched().map(|(kind, name, resource)| status(kind, name, resource)).collect()
    }
}

/// Times to live (TR-35).
impl Cache {
    /// The resource expires at `until`; `None`: never.
    pub(super) fn live(&mut self, type_url: &'static str, name: &Name, until: Option<Instant>) {
        if self.lives.is_empty() && until.is_none() {
            return;
        }
        let key = (type_url, name.clone());
        let before = match until {
            Some(until) => self.lives.insert(key, until),
            None => self.lives.remove(&key),
        };
        if let Some(before) = before {
            self.expiries.remove(&(before, type_url, name.clone()));
        }
        if let Some(until) = until {
            self.expiries.insert((until, type_url, name.clone()));
        }
    }

    pub(super) fn next_expiry(&self) -> Option<Instant> {
        self.expiries.first().map(|(until, ..)| *until)
    }

    /// Expires the next resource that is due: removes its value, and returns it with the collection that it was a member of.
    pub(super) fn expire(&mut self, now: Instant) -> Option<(&'static str, Name, Option<Name>, Effect)> {
        let (_, type_url, name) = self.expiries.first().filter(|(until, ..)| *until <= now)?.clone();
        self.live(type_url, &name, None);
        if let Some(resource) = self.get_mut(type_url, &name) {
            let effect = resource.outlive();
            return Some((type_url, name, None, effect));
        }
        let collection = super::name::collection(&name);
        let resource = collection.as_ref().and_then(|collection| self.get_mut(type_url, collection));
        let effect = resource.map_or(Effect::Unchanged, |resource| resource.remove_member(&name));
        Some((type_url, name, collection, effect))
    }
}

/// When a resource with this time to live expires.
pub(super) fn until(now: Instant, ttl: Option<Duration>) -> Option<Instant> {
    ttl.and_then(|ttl| now.checked_add(ttl))
}

fn status(kind: ResourceKind, name: &Name, resource: &Resource) -> ResourceStatus {
    let accepted = resource.accepted();
    let state = resource.state();
    ResourceStatus {
        type_url: kind.type_url,
        name: name.clone(),
        state,
        version: accepted.map_or_else(|| "".into(), |accepted| accepted.version.clone()),
        error: resource.error(),
        rejected: resource.rejected().cloned().filter(|_| state == ResourceState::Nacked),
        cached: accepted.is_some(),
        stale: resource.is_stale(),
        // A collection is no message of its own.
        bytes: accepted.filter(|_| !super::name::is_collection(name)).map(|accepted| accepted.bytes.clone()),
        updated: accepted.map(|accepted| accepted.at),
        server: accepted.and_then(|accepted| accepted.server),
    }
}
