//! Deadlines.

use std::time::Instant;

use rand::Rng;

use super::AdsState;
use crate::protocol::accepted::Effect;
use crate::protocol::resource::absent;
use crate::protocol::server::Server;
use crate::protocol::{Event, OnTimeout, Problem, ProblemKind, ServerId};

/// The time.
impl AdsState {
    /// When the driver calls [`on_deadline`](Self::on_deadline) next.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        let servers = self.servers.iter().filter_map(Server::next_deadline).min();
        let others = [self.cache.next_expiry(), self.last_good.next_deadline(), self.next_fallback()];
        others.into_iter().chain([servers]).flatten().min()
    }

    /// Handles all deadlines that have passed.
    pub(crate) fn on_deadline(&mut self, now: Instant, rng: &mut dyn Rng) {
        for index in 0..self.servers.len() {
            self.expire(ServerId(index), now);
            // The silence of a stream that is not needed is no outage.
            if self.servers[index].link.is_waiting() || self.servers[index].is_wanted() {
                let had_stream = self.servers[index].link.is_open();
                let change = self.servers[index].link.on_deadline(now, rng);
                if had_stream && !self.servers[index].link.is_open() {
                    self.reset(ServerId(index));
                }
                self.tell(change);
            }
            self.servers[index].rest();
        }
        while let Some((type_url, name, collection, effect)) = self.cache.expire(now) {
            if effect == Effect::Changed {
                self.events.push_back(match collection {
                    Some(collection) => Event::Members { type_url, collection, changed: vec![name] },
                    None => Event::Resource { type_url, name },
                });
            }
        }
        self.give_up_waiting(now);
        if self.last_good.on_deadline(now) {
            self.restore_all();
        }
        self.prune_timers();
    }

    fn expire(&mut self, server: ServerId, now: Instant) {
        while let Some(timer) = self.servers[server.0].pop_due(now) {
            let known = &mut self.servers[server.0];
            known.link.on_unanswered();
            let problem = match known.settings.on_timeout {
                OnTimeout::DoesNotExist => absent(),
                // TR-20
                OnTimeout::Transient => {
                    let seconds = known.settings.resource_timeout.as_secs_f64();
                    Problem::new(ProblemKind::TimedOut, format!("did not come within {seconds} s"))
                }
            };
            let (source, answers) = (known.source(now), known.link.has_responded());
            let authority = self.cache.get(timer.type_url, &timer.name).and_then(|known| known.authority);
            let Some(authority) = authority else { continue };
            if answers {
                // A preferred server has recovered, but has none of the watched resources.
                self.revert_authority(authority, server);
            }
            let Some(resource) = self.cache.get_mut(timer.type_url, &timer.name) else { continue };
            // The authority uses another server; this one is only retried.
            let counts = self.authorities.counts(Some(authority), server);
            if counts && resource.expire(problem, source) == Effect::Changed {
                self.events.push_back(Event::Resource { type_url: timer.type_url, name: timer.name });
            }
        }
    }

    pub(super) fn prune_timers(&mut self) {
        self.servers.iter_mut().for_each(Server::prune_timers);
    }
}
