//! [`AdsState`]: the watched resources, and the servers that send them.

mod fallback;
mod restore;
mod stream;
mod time;

use std::collections::VecDeque;

use bytes::Bytes;
use mesh_core::config::Name;

use super::authority::{Authorities, AuthorityId};
use super::cache::Cache;
use super::last_good::LastGood;
use super::resource::Resource;
use super::server::Server;
use super::subscription::ResourceKind;
use super::{
    DataErrors, DeletionStatus, Event, Outage, ResourceStatus, ServerId, Settings, UpdateCounts, View,
    canonical,
};
use crate::resource::AnyResource;

/// The ADS protocol with all servers of a client: one stream to each that is needed, one cache for all.
///
/// Its driver passes in watches, stream events and deadlines, and then does what the state wants, until nothing is left:
/// [`poll_event`](Self::poll_event) and [`next_deadline`](Self::next_deadline), and for each of
/// [`servers`](Self::servers) [`should_open`](Self::should_open), [`should_close`](Self::should_close) and
/// [`poll_request`](Self::poll_request).
///
/// Names are kept in their [`canonical`] spelling, also in events.
#[derive(Debug)]
pub(crate) struct AdsState {
    servers: Vec<Server>,
    authorities: Authorities,
    cache: Cache,
    last_good: LastGood,
    events: VecDeque<Event>,
}

/// Watching.
impl AdsState {
    /// A state without watches.
    pub(crate) fn new(settings: Settings) -> Self {
        let authorities = Authorities::new(&settings);
        let servers = settings.servers.into_iter().enumerate();
        let servers = servers.map(|(index, settings)| Server::new(ServerId(index), settings)).collect();
        let (cache, last_good, events) = (Cache::default(), LastGood::default(), VecDeque::new());
        Self { servers, authorities, cache, last_good, events }
    }

    /// Watches a resource, once more if it is watched already. Its current state is in its
    /// [`view`](Self::view) (TR-11); no event is made for it.
    pub(crate) fn watch(&mut self, kind: ResourceKind, name: &Name) {
        let name = canonical(name);
        let authority = self.authorities.of(&name);
        let resource = self.cache.enter(kind, &name, || match authority {
            Ok(id) => Resource::new(Some(id)),
            // TR-39: the authority is unknown, so no server is asked.
            Err(unknown) => Resource::of_unknown_authority(unknown),
        });
        resource.watchers += 1;
        let Some(authority) = resource.authority.filter(|_| resource.watchers == 1) else { return };
        self.authorities.get_mut(authority).on_watched();
        for server in self.authorities.get(authority).asked() {
            self.servers[server.0].want(kind, &name);
        }
        self.fall_back();
        self.restore(kind.type_url, &name);
    }

    /// Ends one watch. After the last one, the resource is dropped.
    pub(crate) fn unwatch(&mut self, type_url: &str, name: &Name) {
        let name = canonical(name);
        let Some(resource) = self.cache.get_mut(type_url, &name) else { return };
        if resource.watchers != 1 {
            resource.watchers = resource.watchers.saturating_sub(1);
            return;
        }
        resource.watchers = 0;
        if self.cache.get(type_url, &name).is_some_and(|resource| self.is_settled(resource)) {
            self.last_good.forget(type_url, &name);
        }
        let authority = self.cache.get(type_url, &name).and_then(|resource| resource.authority);
        if let Some(authority) = authority {
            self.authorities.get_mut(authority).on_unwatched();
        }
        for server in &mut self.servers {
            server.unwant(type_url, &name);
            server.rest();
        }
        self.forget(type_url, &name);
        self.prune_timers();
    }

    /// The current view of a resource; empty if it is not watched.
    pub(crate) fn view(&self, type_url: &str, name: &Name) -> View {
        let resource = self.cache.get(type_url, &canonical(name)).filter(|resource| resource.watchers > 0);
        let outage = |resource: &Resource| resource.authority.and_then(|id| self.outage_of(id));
        resource.map_or_else(View::default, |resource| resource.view(outage(resource)))
    }

    /// A member of a watched collection (TR-56).
    pub(crate) fn member(&self, type_url: &str, collection: &Name, name: &Name) -> Option<&AnyResource> {
        let member = self.cache.get(type_url, collection)?.members.in_use.get(name)?;
        Some(&member.resource)
    }

    /// Every member of a watched collection, by name.
    pub(crate) fn members(
        &self,
        type_url: &str,
        collection: &Name,
    ) -> impl Iterator<Item = (&Name, &AnyResource)> {
        let members =
            self.cache.get(type_url, collection).into_iter().flat_map(|known| &known.members.in_use);
        members.map(|(name, member)| (name, &member.resource))
    }

    /// The next event for watchers.
    pub(crate) fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Why the server of this name cannot be reached; `None`: it can.
    pub(crate) fn outage(&self, name: &Name) -> Option<&Outage> {
        self.outage_of(self.authorities.of(name).ok()?)
    }

    /// The URI of this name's server; `None` for a name of an unknown authority.
    pub(crate) fn server_of(&self, name: &Name) -> Option<&Name> {
        let server = self.authorities.get(self.authorities.of(name).ok()?).active()?;
        Some(&self.servers.get(server.0)?.settings.name)
    }

    /// How data errors of this name's server affect resources in use.
    pub(crate) fn data_errors(&self, name: &Name) -> DataErrors {
        let authority = self.authorities.of(name).ok();
        let server = authority.and_then(|id| self.servers.get(self.authorities.get(id).active()?.0));
        server.map_or_else(DataErrors::default, |server| server.settings.data_errors)
    }

    /// Every watched resource, by type and name (TR-63).
    pub(crate) fn resources(&self) -> Vec<ResourceStatus> {
        self.cache.statuses()
    }

    /// Every resource in use that a server of this run sent, members of collections too: type, name, version,
    /// server and message.
    pub(crate) fn in_use(&self) -> impl Iterator<Item = (&'static str, &Name, &Name, ServerId, &Bytes)> {
        self.cache.in_use()
    }

    /// The number of remembered items, for tests of growth.
    #[cfg(test)]
    pub(super) fn footprint(&self) -> usize {
        self.cache.len() + self.events.len() + self.servers.iter().map(Server::footprint).sum::<usize>()
    }

    fn outage_of(&self, authority: AuthorityId) -> Option<&Outage> {
        self.servers.get(self.authorities.get(authority).active()?.0)?.link.outage()
    }

    /// Drops an unwatched resource once no server believes any more that the client has it.
    fn forget(&mut self, type_url: &str, name: &Name) {
        let is_needed = self.cache.get(type_url, name).is_none_or(|resource| resource.watchers > 0);
        if is_needed || self.servers.iter().any(|server| server.has(type_url, name)) {
            return;
        }
        let Some(resource) = self.cache.remove(type_url, name) else { return };
        if let Some(type_url) = self.kind_of(type_url).filter(|_| resource.deletion_ignored) {
            let status = DeletionStatus::Unwatched;
            self.events.push_back(Event::Deletion { type_url, name: name.clone(), status });
        }
    }

    fn kind_of(&self, type_url: &str) -> Option<&'static str> {
        let known = self.servers.iter().flat_map(|server| &server.subscriptions);
        known.map(|subscription| subscription.kind.type_url).find(|known| *known == type_url)
    }
}

/// Servers.
impl AdsState {
    /// All of them.
    pub(crate) fn servers(&self) -> impl Iterator<Item = ServerId> + use<> {
        (0..self.servers.len()).map(ServerId)
    }

    /// Whether the server counts as connected (OB-09).
    pub(crate) fn is_connected(&self, server: ServerId) -> bool {
        self.servers[server.0].link.is_connected()
    }

    /// Why this server cannot be reached; `None`: it can.
    pub(crate) fn server_outage(&self, server: ServerId) -> Option<&Outage> {
        self.servers[server.0].link.outage()
    }

    /// How often this server was lost (OB-08).
    pub(crate) fn failures(&self, server: ServerId) -> u64 {
        self.servers[server.0].link.failures()
    }

    /// How many resources of each type this server sent (OB-08).
    pub(crate) fn updates(&self, server: ServerId) -> impl Iterator<Item = (&'static str, UpdateCounts)> {
        self.servers[server.0].counts.iter().map(|(type_url, counts)| (*type_url, *counts))
    }
}
