//! Handles a response: puts each resource into the cache if the authority uses this server.

use std::collections::HashSet;

use mesh_core::config::Name;

use super::accepted::{Accepted, Effect, Source};
use super::authority::Authorities;
use super::cache::{Cache, until};
use super::last_good::LastGood;
use super::resource::Resource;
use super::response::{Errors, Heartbeat, ServerError};
use super::subscription::Subscription;
use super::{DeletionStatus, Event, Received, Rejected, ResourceKind, Response, UpdateCounts};

/// A response that is being handled.
pub(super) struct Intake<'a> {
    pub(super) source: Source,
    pub(super) authorities: &'a Authorities,
    pub(super) cache: &'a mut Cache,
    pub(super) last_good: &'a mut LastGood,
    pub(super) subscription: &'a mut Subscription,
    pub(super) counts: &'a mut UpdateCounts,
    pub(super) events: &'a mut Vec<Event>,
}

impl Intake<'_> {
    /// Handles the response and queues its one answer (TR-07).
    pub(super) fn take(&mut self, response: Response) {
        let Response { version, nonce, resources, heartbeats, removed, errors: withheld, .. } = response;
        let response_version = Name::from(version.as_str());
        let repeated = repeated_names(&resources);
        let only_heartbeats = resources.is_empty() && !heartbeats.is_empty();
        let mut held: HashSet<Name> = heartbeats.iter().map(|heartbeat| heartbeat.name.clone()).collect();
        let mut errors = Errors::default();
        for resource in resources {
            let resource = match resource {
                Ok(received) if repeated.contains(&received.name) => Err(repetition(received.name)),
                other => other,
            };
            // TR-13, TR-14: after a bad resource the others are still checked and used.
            errors.add(self.subscription.kind, &resource);
            if let Some(name) = self.resource(resource, &response_version) {
                held.insert(name);
            }
        }
        heartbeats.iter().for_each(|heartbeat| self.heartbeat(heartbeat));
        removed.iter().for_each(|name| self.removal(name));
        withheld.iter().for_each(|error| {
            held.insert(error.name.clone());
            self.withheld(error);
        });
        // TR-26. If the response has a resource of unknown name (TR-15), no resource can be called missing.
        if self.subscription.kind.full_state && self.is_whole() && !errors.nameless && !only_heartbeats {
            self.missing(&held);
        }
        self.subscription.answer(version, nonce, errors.into_text());
    }

    /// Incremental responses have only changed resources (TR-54).
    fn is_whole(&self) -> bool {
        self.subscription.is_sotw()
    }

    fn resource(&mut self, resource: Result<Received, Rejected>, version: &Name) -> Option<Name> {
        match &resource {
            Ok(_) => self.counts.valid += 1,
            Err(_) => self.counts.invalid += 1,
        }
        let (name, aliases) = match &resource {
            Ok(received) => (received.name.clone(), &received.aliases[..]),
            Err(rejected) => (rejected.name.clone()?, &[][..]),
        };
        // TR-55
        let names = std::iter::once(&name).chain(aliases);
        let Some(known) = names.into_iter().find(|name| self.counts_for(name)).cloned() else {
            self.member(&name, resource, version);
            return Some(name);
        };
        self.subscription.settle(&known);
        let ttl = resource.as_ref().ok().map(|received| until(self.source.now, received.ttl));
        let source = self.source;
        let effect = self.update(&known, |cached| match resource {
            Ok(received) => {
                let version = received.version.clone().unwrap_or_else(|| version.clone());
                cached.accept(&received, version, source)
            }
            Err(rejected) => cached.reject(rejected.reason.into(), version.clone(), source),
        });
        if let Some(ttl) = ttl {
            self.cache.live(self.type_url(), &known, ttl);
        }
        self.tell(effect, &known);
        Some(known)
    }

    /// TR-56: a resource that is not watched by its name may be a member of a watched collection.
    fn member(&mut self, name: &Name, resource: Result<Received, Rejected>, version: &Name) {
        let Some(collection) = super::name::collection(name).filter(|known| self.counts_for(known)) else {
            // TR-12: a resource without a subscription is ignored.
            return;
        };
        self.subscription.settle(&collection);
        let mut changed = self.adopt(&collection);
        let (source, type_url) = (self.source, self.type_url());
        let Some(cached) = self.cached(&collection) else { return };
        let effect = match resource {
            Ok(received) => {
                let version = received.version.clone().unwrap_or_else(|| version.clone());
                let effect = cached.accept_member(name, Accepted::new(&received, version, source));
                self.cache.live(type_url, name, until(source.now, received.ttl));
                effect
            }
            Err(rejected) => {
                let effect = cached.reject_member(name, &rejected.reason, version.clone(), source);
                self.tell(Effect::Changed, &collection);
                effect
            }
        };
        if effect == Effect::Changed {
            changed.push(name.clone());
        }
        self.tell_members(&collection, changed);
    }

    /// The collection belongs to this server from now on. Removes the members of another server, and returns their names.
    fn adopt(&mut self, collection: &Name) -> Vec<Name> {
        let source = self.source;
        let Some(cached) = self.cached(collection) else { return Vec::new() };
        let (effect, gone) = cached.adopt(collection, source);
        if effect == Effect::Changed {
            self.last_good.forget(self.subscription.kind.type_url, collection);
        }
        self.tell(effect, collection);
        gone
    }

    /// TR-35: only extends the life of a resource.
    fn heartbeat(&mut self, heartbeat: &Heartbeat) {
        let Heartbeat { name, version, ttl } = heartbeat;
        let collection = super::name::collection(name).filter(|known| self.counts_for(known));
        let accepted = match &collection {
            _ if self.counts_for(name) => self.cached(name).and_then(|cached| cached.accepted()),
            Some(known) => self.cached(known).and_then(|cached| cached.members.in_use.get(name)),
            None => None,
        };
        if accepted.is_some_and(|accepted| version.is_empty() || accepted.version == *version) {
            self.cache.live(self.type_url(), name, until(self.source.now, *ttl));
        }
    }

    /// TR-52: of any type; a resource without a subscription is ignored.
    fn removal(&mut self, name: &Name) {
        let (source, full_state) = (self.source, self.subscription.kind.full_state);
        if super::name::is_collection(name) && self.counts_for(name) {
            self.subscription.settle(name);
            let mut changed = self.adopt(name);
            let members = self.cached(name).map(|cached| std::mem::take(&mut cached.members.in_use));
            changed.extend(members.unwrap_or_default().into_keys());
            return self.tell_members(name, changed);
        }
        if self.counts_for(name) {
            self.subscription.settle(name);
            let known = self.cached(name).is_some_and(|cached| cached.deletion_ignored);
            let effect = self.update(name, |cached| cached.remove(full_state, source));
            self.tell_ignored(name, known);
            return self.tell(effect, name);
        }
        if let Some(collection) = super::name::collection(name).filter(|known| self.counts_for(known)) {
            let cached = self.cached(&collection);
            if cached.is_some_and(|cached| cached.remove_member(name) == Effect::Changed) {
                self.tell_members(&collection, vec![name.clone()]);
            }
        }
    }

    // TR-30
    fn withheld(&mut self, error: &ServerError) {
        if self.counts_for(&error.name) {
            self.subscription.settle(&error.name);
            let source = self.source;
            let effect = self.update(&error.name, |cached| cached.withhold(error, source));
            self.tell(effect, &error.name);
        }
    }

    fn missing(&mut self, held: &HashSet<Name>) {
        let source = self.source;
        let missing = self.subscription.names().filter(|name| !held.contains(*name) && self.counts_for(name));
        // TR-26: never received, at least not from this server, so the timer decides while it runs.
        let missing = missing.filter(|name| {
            let known = self.cache.get(self.type_url(), name);
            !(self.subscription.awaits(name) && known.is_some_and(|known| known.is_owed(source.server)))
        });
        for name in missing.cloned().collect::<Vec<_>>() {
            self.subscription.settle(&name);
            let known = self.cached(&name).is_some_and(|cached| cached.deletion_ignored);
            let effect = self.update(&name, |cached| cached.miss(source));
            self.tell_ignored(&name, known);
            self.tell(effect, &name);
        }
    }

    /// Whether the resource has a subscription at this server, and its authority uses this server (TR-12, TR-45).
    fn counts_for(&self, name: &Name) -> bool {
        let resource = self.cache.get(self.type_url(), name).filter(|_| self.subscription.has(name));
        self.authorities.counts(resource.and_then(|resource| resource.authority), self.source.server)
    }

    fn cached(&mut self, name: &Name) -> Option<&mut Resource> {
        self.cache.get_mut(self.subscription.kind.type_url, name)
    }

    fn update(&mut self, name: &Name, change: impl FnOnce(&mut Resource) -> Effect) -> Effect {
        let Some(cached) = self.cached(name) else { return Effect::Unchanged };
        let ignored = cached.deletion_ignored;
        let effect = change(cached);
        let reappeared = ignored && !cached.deletion_ignored;
        if cached.is_settled() {
            self.last_good.forget(self.subscription.kind.type_url, name);
        }
        if reappeared {
            self.log(name, DeletionStatus::Reappeared);
        }
        effect
    }

    fn tell(&mut self, effect: Effect, name: &Name) {
        let type_url = self.type_url();
        let is_watched = self.cached(name).is_some_and(|cached| cached.watchers > 0);
        if effect == Effect::Changed && is_watched {
            self.events.push(Event::Resource { type_url, name: name.clone() });
        }
    }

    fn tell_members(&mut self, collection: &Name, changed: Vec<Name>) {
        let is_watched = self.cached(collection).is_some_and(|cached| cached.watchers > 0);
        if !is_watched || changed.is_empty() {
            return;
        }
        let type_url = self.type_url();
        // One event for consecutive members.
        if let Some(Event::Members { type_url: last_type, collection: last, changed: so_far }) =
            self.events.last_mut()
            && (*last_type, &*last) == (type_url, collection)
        {
            return so_far.extend(changed);
        }
        self.events.push(Event::Members { type_url, collection: collection.clone(), changed });
    }

    fn tell_ignored(&mut self, name: &Name, known: bool) {
        if !known && self.cached(name).is_some_and(|cached| cached.deletion_ignored) {
            self.log(name, DeletionStatus::Ignored);
        }
    }

    fn log(&mut self, name: &Name, status: DeletionStatus) {
        self.events.push(Event::Deletion { type_url: self.type_url(), name: name.clone(), status });
    }

    fn type_url(&self) -> &'static str {
        self.kind().type_url
    }

    fn kind(&self) -> ResourceKind {
        self.subscription.kind
    }
}

// TR-16
fn repeated_names(resources: &[Result<Received, Rejected>]) -> HashSet<Name> {
    let mut seen = HashSet::new();
    let names = resources.iter().filter_map(|resource| match resource {
        Ok(received) => Some(&received.name),
        Err(rejected) => rejected.name.as_ref(),
    });
    names.filter(|name| !seen.insert(*name)).cloned().collect()
}

fn repetition(name: Name) -> Rejected {
    Rejected { name: Some(name), reason: "appears more than once in the response".to_owned() }
}
