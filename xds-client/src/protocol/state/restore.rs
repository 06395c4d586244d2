//! Uses resources of an earlier run while their servers have not answered.

use std::time::{Duration, Instant};

use mesh_core::config::Name;

use super::AdsState;
use crate::protocol::authority::AuthorityId;
use crate::protocol::last_good::Leftover;
use crate::protocol::resource::Resource;
use crate::protocol::{Event, Received, name};

impl AdsState {
    /// Adds resources that an earlier run had accepted, with their types. They are used, and reported as stale, where a
    /// server cannot be reached, or has never answered once `grace` has passed since the first attempt to reach any: a server
    /// that is tried later has no grace of its own. Resources of earlier calls stay.
    pub(crate) fn preload(
        &mut self,
        now: Instant,
        grace: Duration,
        resources: impl IntoIterator<Item = (String, Received)>,
    ) {
        self.last_good.add(now, grace, resources);
    }

    /// The state of a resource that was [preloaded](Self::preload), or of its collection (TR-56).
    pub(crate) fn leftover(&self, type_url: &str, name: &Name) -> Leftover {
        let known = |name: &Name| self.cache.get(type_url, name).filter(|known| known.watchers > 0);
        match known(name).or_else(|| known(&name::collection(name)?)) {
            None if self.last_good.contains(type_url, name) => Leftover::Unwatched,
            // It was watched, and answered for, before.
            None => Leftover::Settled,
            Some(known) if self.is_settled(known) => Leftover::Settled,
            Some(_) => Leftover::Awaited,
        }
    }

    /// Restores a resource that has just been watched; makes no event, because its watcher reads it anyway.
    pub(super) fn restore(&mut self, type_url: &str, name: &Name) {
        let authority = self.cache.get(type_url, name).and_then(|resource| resource.authority);
        if authority.is_some_and(|id| self.may_restore(id))
            && let Some(resource) = self.cache.get_mut(type_url, name)
        {
            self.last_good.restore(type_url, name, resource);
        }
    }

    /// Restores every watched resource that has not come.
    pub(super) fn restore_all(&mut self) {
        let missing = self.cache.watched().filter(|(.., resource)| resource.is_requested());
        let missing =
            missing.filter(|(.., resource)| resource.authority.is_some_and(|id| self.may_restore(id)));
        let missing: Vec<_> = missing.map(|(kind, name, _)| (kind.type_url, name.clone())).collect();
        for (type_url, name) in missing {
            let Some(resource) = self.cache.get_mut(type_url, &name) else { continue };
            if self.last_good.restore(type_url, &name, resource) {
                let changed: Vec<Name> = resource.members.in_use.keys().cloned().collect();
                if !changed.is_empty() {
                    self.events.push_back(Event::Members { type_url, collection: name.clone(), changed });
                }
                self.events.push_back(Event::Resource { type_url, name });
            }
        }
    }

    pub(super) fn is_settled(&self, resource: &Resource) -> bool {
        // The silence of a server that never answers is no answer for its resources.
        let by = resource.denied_by();
        resource.is_settled() && by.is_none_or(|server| self.servers[server.0].link.has_ever_responded())
    }

    fn may_restore(&self, id: AuthorityId) -> bool {
        let Some(server) = self.authorities.get(id).active() else { return false };
        let link = &self.servers[server.0].link;
        link.outage().is_some() || self.last_good.has_waited() && !link.has_ever_responded()
    }
}
