//! Events of streams.

use std::time::Instant;

use rand::Rng;

use super::AdsState;
use crate::protocol::accepted::Source;
use crate::protocol::intake::Intake;
use crate::protocol::link::OutageChange;
use crate::protocol::server::Server;
use crate::protocol::{Event, Request, Response, ServerId, StreamEnd, canonical};

/// Streams.
impl AdsState {
    /// Whether a watched resource needs a stream to this server (TR-01).
    pub(crate) fn stream_wanted(&self, server: ServerId) -> bool {
        self.servers[server.0].is_wanted()
    }

    /// Whether to open a stream now.
    pub(crate) fn should_open(&self, server: ServerId) -> bool {
        self.servers[server.0].link.is_idle() && self.stream_wanted(server)
    }

    /// Whether to close an open or opening stream now; [`on_stream_dropped`](Self::on_stream_dropped) follows.
    pub(crate) fn should_close(&self, server: ServerId) -> bool {
        !self.servers[server.0].link.has_stream() || !self.stream_wanted(server)
    }

    /// The driver has begun to open a stream.
    pub(crate) fn on_opening(&mut self, server: ServerId, now: Instant) {
        self.servers[server.0].link.on_opening(now);
        self.last_good.on_opening(now);
    }

    /// The stream is open: requests can be sent.
    pub(crate) fn on_stream_opened(&mut self, server: ServerId) {
        self.servers[server.0].link.on_opened();
        self.reset(server);
    }

    /// The stream could not be opened.
    pub(crate) fn on_open_failed(&mut self, server: ServerId, now: Instant, reason: &str, rng: &mut dyn Rng) {
        let change = self.servers[server.0].link.fail(now, reason, rng);
        self.tell(change);
    }

    /// The stream has ended.
    pub(crate) fn on_stream_ended(
        &mut self,
        server: ServerId,
        now: Instant,
        end: StreamEnd,
        rng: &mut dyn Rng,
    ) {
        self.reset(server);
        let change = self.servers[server.0].link.on_ended(now, end, rng);
        self.tell(change);
    }

    /// The driver has closed the stream, or stopped opening it, because it [should](Self::should_close).
    pub(crate) fn on_stream_dropped(&mut self, server: ServerId) {
        self.reset(server);
        self.servers[server.0].link.on_dropped();
        self.servers[server.0].rest();
    }

    /// A response has arrived on the open stream.
    pub(crate) fn on_response(&mut self, server: ServerId, now: Instant, mut response: Response) {
        let Some(known) = self.servers.get_mut(server.0).filter(|known| known.link.is_open()) else { return };
        let change = known.link.on_response();
        self.tell(change);
        canonicalise(&mut response);
        let subscription = self.servers[server.0].subscription_mut(&response.type_url);
        // TR-08
        let Some(kind) = subscription.filter(|known| known.answers_responses()).map(|known| known.kind)
        else {
            return;
        };
        self.revert(server, kind, &response);
        let Self { servers, authorities, cache, last_good, .. } = self;
        let Server { settings, subscriptions, counts, .. } = &mut servers[server.0];
        let source = Source { server, data_errors: settings.data_errors, now };
        let subscription = subscriptions.iter_mut().find(|known| known.kind.type_url == kind.type_url);
        if let Some(subscription) = subscription {
            let counts = counts.entry(kind.type_url).or_default();
            let mut told = Vec::new();
            let events = &mut told;
            Intake { source, authorities, cache, last_good, subscription, counts, events }.take(response);
            if authorities.retries(server) {
                subscription.on_ignored();
            }
            self.events.extend(told);
        }
        self.prune_timers();
    }

    /// Whether there is a request to send.
    pub(crate) fn has_request(&self, server: ServerId) -> bool {
        self.servers[server.0].has_request()
    }

    /// The next request to send on the open stream. `now` starts the timers of its resources (TR-18).
    pub(crate) fn poll_request(&mut self, server: ServerId, now: Instant) -> Option<Request> {
        let (request, gone) = self.servers[server.0].poll_request(now, &self.cache, &self.authorities)?;
        for name in &gone {
            self.forget(request.type_url, name);
        }
        Some(request)
    }

    pub(super) fn reset(&mut self, server: ServerId) {
        for (type_url, name) in self.servers[server.0].reset() {
            self.forget(type_url, &name);
        }
    }

    pub(super) fn tell(&mut self, change: OutageChange) {
        if change == OutageChange::Changed {
            self.tell_outage();
            self.fall_back();
            self.restore_all();
        }
    }

    /// TR-25: every watcher gets an event; beside a value in use the outage is an ambient error.
    pub(super) fn tell_outage(&mut self) {
        let waiting = self.cache.watched().filter(|(.., resource)| resource.is_requested());
        let waiting =
            waiting.map(|(kind, name, _)| Event::Resource { type_url: kind.type_url, name: name.clone() });
        self.events.extend(waiting);
        self.events.push_back(Event::Outage);
    }
}

// TR-37
fn canonicalise(response: &mut Response) {
    for resource in &mut response.resources {
        match resource {
            Ok(received) => {
                for name in std::iter::once(&mut received.name).chain(&mut received.aliases) {
                    *name = canonical(name);
                }
            }
            Err(rejected) => rejected.name = rejected.name.as_ref().map(canonical),
        }
    }
    let heartbeats = response.heartbeats.iter_mut().map(|heartbeat| &mut heartbeat.name);
    let errors = response.errors.iter_mut().map(|error| &mut error.name);
    for name in heartbeats.chain(errors).chain(&mut response.removed) {
        *name = canonical(name);
    }
}
