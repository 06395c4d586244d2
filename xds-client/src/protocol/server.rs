//! One server: its stream and its subscriptions.

use std::collections::BTreeMap;
use std::time::Instant;

use mesh_core::config::Name;

use super::accepted::Source;
use super::authority::Authorities;
use super::cache::Cache;
use super::link::Link;
use super::resource::Resource;
use super::subscription::{RequestContext, ResourceKind, Subscription};
use super::timer::{Timer, Timers};
use super::{Request, ServerId, ServerSettings, UpdateCounts};

/// One server.
#[derive(Debug)]
pub(super) struct Server {
    pub(super) id: ServerId,
    pub(super) settings: ServerSettings,
    pub(super) link: Link,
    pub(super) subscriptions: Vec<Subscription>,
    pub(super) counts: BTreeMap<&'static str, UpdateCounts>,
    timers: Timers,
}

impl Server {
    pub(super) fn new(id: ServerId, settings: ServerSettings) -> Self {
        let settings = settings.bounded();
        Self {
            id,
            link: Link::new(&settings),
            settings,
            subscriptions: Vec::new(),
            counts: BTreeMap::new(),
            timers: Timers::default(),
        }
    }

    pub(super) fn source(&self, now: Instant) -> Source {
        Source { server: self.id, data_errors: self.settings.data_errors, now }
    }

    pub(super) fn want(&mut self, kind: ResourceKind, name: &Name) {
        let known = self.subscriptions.iter().position(|known| known.kind.type_url == kind.type_url);
        let index = known.unwrap_or_else(|| {
            self.subscriptions.push(Subscription::new(kind, self.settings.variant));
            self.subscriptions.len() - 1
        });
        self.subscriptions[index].want(name);
    }

    /// Whether the name is dropped at once, without a request.
    pub(super) fn unwant(&mut self, type_url: &str, name: &Name) -> bool {
        self.subscription_mut(type_url).is_some_and(|subscription| subscription.unwant(name))
    }

    pub(super) fn has(&self, type_url: &str, name: &Name) -> bool {
        self.subscription(type_url).is_some_and(|subscription| subscription.has(name))
    }

    // TR-01
    pub(super) fn is_wanted(&self) -> bool {
        self.subscriptions.iter().any(Subscription::is_wanted)
    }

    /// Ends the stream if the server is not needed any more.
    pub(super) fn rest(&mut self) {
        if self.link.is_lost() && !self.is_wanted() {
            self.link.on_unneeded();
        }
    }

    pub(super) fn has_request(&self) -> bool {
        self.link.is_open() && self.subscriptions.iter().any(Subscription::has_request)
    }

    /// The next request, and the names of its type that are dropped with it.
    pub(super) fn poll_request(
        &mut self,
        now: Instant,
        cache: &Cache,
        authorities: &Authorities,
    ) -> Option<(Request, Vec<Name>)> {
        if !self.link.is_open() {
            return None;
        }
        let Self { id, settings, subscriptions, timers, link, .. } = self;
        let subscription = subscriptions.iter_mut().find(|known| known.has_request())?;
        let type_url = subscription.kind.type_url;
        // TR-44: a preferred server that is only retried has to send everything again, or to have had its time for it.
        let counts = |known: &Resource| authorities.counts(known.authority, *id);
        let must_send = |name: &Name| {
            let known = cache.get(type_url, name);
            known.is_some_and(|known| known.is_owed(*id) || !counts(known))
        };
        let versions = || cache.versions(type_url, *id, counts);
        let timeout = settings.resource_timeout;
        let mut context = RequestContext { now, timeout, timers, must_send: &must_send, versions: &versions };
        let (mut request, gone) = subscription.poll_request(&mut context)?;
        request.with_node = link.on_request(now);
        Some((request, gone))
    }

    /// The stream's subscriptions are over. Returns the names, with their types, that are dropped now.
    pub(super) fn reset(&mut self) -> Vec<(&'static str, Name)> {
        self.timers.clear();
        let reset = self.subscriptions.iter_mut().flat_map(|known| {
            let type_url = known.kind.type_url;
            known.on_stream_reset().into_iter().map(move |name| (type_url, name))
        });
        reset.collect()
    }

    pub(super) fn pop_due(&mut self, now: Instant) -> Option<Timer> {
        loop {
            let timer = self.timers.pop_due(now)?;
            let subscription = self.subscription_mut(timer.type_url);
            if let Some(subscription) = subscription.filter(|known| known.runs(&timer)) {
                subscription.settle(&timer.name);
                return Some(timer);
            }
        }
    }

    pub(super) fn prune_timers(&mut self) {
        let Self { timers, subscriptions, .. } = self;
        timers.prune(|timer| {
            let subscription = subscriptions.iter().find(|known| known.kind.type_url == timer.type_url);
            subscription.is_some_and(|subscription| subscription.runs(timer))
        });
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        let stream = self.link.next_deadline().filter(|_| self.link.is_waiting() || self.is_wanted());
        [self.timers.next_deadline(), stream].into_iter().flatten().min()
    }

    #[cfg(test)]
    pub(super) fn footprint(&self) -> usize {
        self.timers.len() + self.subscriptions.iter().map(Subscription::footprint).sum::<usize>()
    }

    fn subscription(&self, type_url: &str) -> Option<&Subscription> {
        self.subscriptions.iter().find(|known| known.kind.type_url == type_url)
    }

    pub(super) fn subscription_mut(&mut self, type_url: &str) -> Option<&mut Subscription> {
        self.subscriptions.iter_mut().find(|known| known.kind.type_url == type_url)
    }
}
