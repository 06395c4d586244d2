//! The server that an authority uses (gRFC A71).

use std::collections::BTreeSet;
use std::time::Instant;

use mesh_core::config::Name;

use super::AdsState;
use crate::protocol::authority::AuthorityId;
use crate::protocol::{Event, ResourceKind, Response, ServerId, name};

impl AdsState {
    /// TR-42, TR-43: authorities whose server is lost use the next one, if they need it.
    pub(super) fn fall_back(&mut self) {
        let mut turned = false;
        for id in self.authorities.ids() {
            while self.outage_of(id).is_some() && self.needs_another(id) {
                let authority = self.authorities.get_mut(id);
                let (Some(before), Some(next)) = (authority.active(), authority.advance()) else { break };
                // After its recovery the server has to send everything, because its resources may have been replaced; but
                // requests of this stream may have said already that the client has them.
                self.servers[before.0].link.restart();
                let watched = self.cache.watched().filter(|(.., resource)| resource.authority == Some(id));
                for (kind, name, _) in watched {
                    self.servers[next.0].want(kind, name);
                }
                turned = true;
            }
        }
        if turned {
            self.tell_outage();
        }
    }

    /// When the next authority gives up waiting for its server.
    pub(super) fn next_fallback(&self) -> Option<Instant> {
        self.authorities.ids().filter_map(|id| self.fallback_deadline(id)).min()
    }

    fn fallback_deadline(&self, id: AuthorityId) -> Option<Instant> {
        let authority = self.authorities.get(id);
        let lost_at = self.servers.get(authority.active()?.0)?.link.outage_since()?;
        authority.deadline(lost_at)
    }

    /// Authorities whose server has been lost for long use the next one.
    pub(super) fn give_up_waiting(&mut self, now: Instant) {
        let mut is_any = false;
        for id in self.authorities.ids() {
            if self.fallback_deadline(id).is_some_and(|deadline| deadline <= now) {
                self.authorities.get_mut(id).set_overdue();
                is_any = true;
            }
        }
        if is_any {
            self.fall_back();
        }
    }

    fn needs_another(&self, id: AuthorityId) -> bool {
        let authority = self.authorities.get(id);
        let mut own = self.cache.watched().filter(|(.., resource)| resource.authority == Some(id));
        authority.has_next() && (authority.falls_back_anyway() || own.any(|(.., own)| own.is_missing()))
    }

    /// TR-44: after the first resource from a preferred server its authority uses that server again.
    pub(super) fn revert(&mut self, server: ServerId, kind: ResourceKind, response: &Response) {
        let names = response.resources.iter().flat_map(|resource| match resource {
            Ok(received) => Some(&received.name).into_iter().chain(&received.aliases),
            Err(rejected) => rejected.name.as_ref().into_iter().chain(&[]),
        });
        let known = |name: &Name| self.cache.get(kind.type_url, name).and_then(|resource| resource.authority);
        let member = |name: &Name| name::collection(name).and_then(|collection| known(&collection));
        let ids: BTreeSet<AuthorityId> =
            names.chain(&response.removed).filter_map(|name| known(name).or_else(|| member(name))).collect();
        for id in ids {
            self.revert_authority(id, server);
        }
    }

    pub(super) fn revert_authority(&mut self, id: AuthorityId, server: ServerId) {
        let left = self.authorities.get_mut(id).revert(server);
        if !left.is_empty() {
            let watched = self.cache.watched().filter(|(.., resource)| resource.authority == Some(id));
            let names: Vec<_> = watched.map(|(kind, name, _)| (kind.type_url, name.clone())).collect();
            for (type_url, name) in &names {
                for server in &left {
                    self.servers[server.0].unwant(type_url, name);
                }
            }
            left.iter().for_each(|server| self.servers[server.0].rest());
            self.events.push_back(Event::Outage);
        }
    }
}
