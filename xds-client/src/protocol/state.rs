//! [`AdsState`]: the subscriptions and the stream of one server, put together.

use std::collections::VecDeque;
use std::time::Instant;

use mesh_core::config::Name;
use rand::Rng;

use super::link::{Link, News};
use super::resource::Effect;
use super::subscription::{ResourceKind, Subscription};
use super::timer::Timers;
use super::{
    Event, Outage, Request, ResourceStatus, Response, Settings, StreamEnd, View, authority, canonical,
};

/// The state-of-the-world ADS protocol with one server.
///
/// Its driver tells it of watches, the stream and the time, and then does what it asks for, until nothing is left:
/// [`poll_event`](Self::poll_event), [`should_open`](Self::should_open), [`stream_wanted`](Self::stream_wanted),
/// [`poll_request`](Self::poll_request), [`next_deadline`](Self::next_deadline).
///
/// Names are kept in their [`canonical`] spelling, also in events.
#[derive(Debug)]
pub struct AdsState {
    settings: Settings,
    subscriptions: Vec<Subscription>,
    link: Link,
    timers: Timers,
    events: VecDeque<Event>,
}

/// Watching.
impl AdsState {
    /// A state without watches.
    pub fn new(settings: Settings) -> Self {
        Self {
            link: Link::new(settings.backoff),
            settings,
            subscriptions: Vec::new(),
            timers: Timers::default(),
            events: VecDeque::new(),
        }
    }

    /// Watches a resource, once more if it is watched already. What is known of it at once is in its
    /// [`view`](Self::view) (TR-11); no event is made for it.
    pub fn watch(&mut self, now: Instant, kind: ResourceKind, name: &Name) {
        let name = canonical(name);
        // TR-39: known here, so nothing is sent.
        let unknown = authority(&name).filter(|authority| !self.settings.authorities.contains(*authority));
        let unknown = unknown.map(str::to_owned);
        self.link.on_deadline(now);
        self.subscription(kind).watch(name, unknown.as_deref());
    }

    /// Takes one watch back. With the last one, the resource is forgotten.
    pub fn unwatch(&mut self, type_url: &str, name: &Name) {
        if let Some(subscription) = self.find_mut(type_url) {
            subscription.unwatch(&canonical(name));
        }
        self.prune_timers();
    }

    /// What is known of a resource; nothing if it is not watched.
    pub fn view(&self, type_url: &str, name: &Name) -> View {
        let subscription = self.subscriptions.iter().find(|known| known.kind.type_url == type_url);
        let resource = subscription.and_then(|subscription| subscription.get(&canonical(name)));
        resource.map_or_else(View::default, |resource| resource.view(self.link.outage()))
    }

    /// The next thing that watchers must look at again.
    pub fn poll_event(&mut self) -> Option<Event> {
        let deletion = || self.subscriptions.iter_mut().find_map(Subscription::pop_deletion);
        self.events.pop_front().or_else(deletion)
    }

    /// Whether and why the server cannot be reached.
    pub fn outage(&self) -> Option<&Outage> {
        self.link.outage()
    }

    /// Whether the server counts as connected (OB-09).
    pub fn is_connected(&self) -> bool {
        self.link.is_connected()
    }

    /// Every watched resource, by type and name (TR-63).
    pub fn resources(&self) -> Vec<ResourceStatus> {
        let watched = self.subscriptions.iter().flat_map(|subscription| {
            let type_url = subscription.kind.type_url;
            subscription.watched().map(move |(name, resource)| ResourceStatus {
                type_url,
                name: name.clone(),
                state: resource.state(),
                version: resource.version(),
                error: resource.error(),
                cached: resource.is_accepted(),
            })
        });
        watched.collect()
    }
}

/// The stream.
impl AdsState {
    /// Whether anything is watched that a stream is needed for (TR-01). If not, an open one is to be closed.
    pub fn stream_wanted(&self) -> bool {
        self.subscriptions.iter().any(Subscription::is_wanted)
    }

    /// Whether a stream is to be opened now.
    pub fn should_open(&self) -> bool {
        self.link.is_idle() && self.stream_wanted()
    }

    /// The driver has begun to open a stream.
    pub fn on_opening(&mut self, now: Instant) {
        self.link.on_opening(now);
    }

    /// The connection stands: requests can be sent.
    pub fn on_stream_opened(&mut self) {
        self.link.on_opened();
        self.reset_subscriptions();
    }

    /// The stream could not be opened.
    pub fn on_open_failed(&mut self, now: Instant, reason: &str, rng: &mut dyn Rng) {
        let news = self.link.fail(now, reason, rng);
        self.tell(news);
    }

    /// The stream has ended.
    pub fn on_stream_ended(&mut self, now: Instant, end: StreamEnd, rng: &mut dyn Rng) {
        self.reset_subscriptions();
        let news = self.link.on_ended(now, end, rng);
        self.tell(news);
    }

    /// The driver has closed the stream, or stopped opening it, because it is not
    /// [wanted](Self::stream_wanted).
    pub fn on_stream_dropped(&mut self) {
        self.reset_subscriptions();
        self.link.on_dropped();
    }

    /// A response has arrived on the open stream.
    pub fn on_response(&mut self, mut response: Response) {
        if !self.link.is_open() {
            return;
        }
        let news = self.link.on_response();
        self.tell(news);
        canonicalise(&mut response);
        let data_errors = self.settings.data_errors;
        // TR-08
        let Some(subscription) = self.find_mut(&response.type_url).filter(|known| known.answers_responses())
        else {
            return;
        };
        let type_url = subscription.kind.type_url;
        let changed = subscription.on_response(response, data_errors);
        self.events.extend(changed.into_iter().map(|name| Event::Resource { type_url, name }));
        self.prune_timers();
    }

    /// Whether there is a request to send.
    pub fn has_request(&self) -> bool {
        self.link.is_open() && self.subscriptions.iter().any(Subscription::has_request)
    }

    /// The next request to send on the open stream. `now` starts the timers of what is asked for (TR-18).
    pub fn poll_request(&mut self, now: Instant) -> Option<Request> {
        if !self.link.is_open() {
            return None;
        }
        let Self { settings, subscriptions, timers, .. } = self;
        let mut due = subscriptions
            .iter_mut()
            .filter_map(|known| known.poll_request(now, settings.resource_timeout, timers));
        let mut request = due.next()?;
        request.with_node = self.link.take_node();
        Some(request)
    }

    fn reset_subscriptions(&mut self) {
        self.timers.clear();
        for subscription in &mut self.subscriptions {
            subscription.on_stream_reset();
        }
    }

    /// TR-25: to everybody; whoever has something to use gets it as an ambient error.
    fn tell(&mut self, news: News) {
        if news == News::Nothing {
            return;
        }
        for subscription in &self.subscriptions {
            let type_url = subscription.kind.type_url;
            let waiting = subscription.watched().filter(|(_, resource)| resource.is_requested());
            let waiting = waiting.map(|(name, _)| Event::Resource { type_url, name: name.clone() });
            self.events.extend(waiting);
        }
        self.events.push_back(Event::Outage);
    }
}

/// The time.
impl AdsState {
    /// When [`on_deadline`](Self::on_deadline) is to be called next.
    pub fn next_deadline(&self) -> Option<Instant> {
        let reopen = self.link.next_deadline().filter(|_| self.stream_wanted());
        [self.timers.next_deadline(), reopen].into_iter().flatten().min()
    }

    /// Does what is due.
    pub fn on_deadline(&mut self, now: Instant) {
        self.link.on_deadline(now);
        while let Some(timer) = self.timers.pop_due(now) {
            let effect = match self.find_mut(timer.type_url) {
                Some(subscription) => subscription.on_timer(&timer),
                None => Effect::Unchanged,
            };
            if effect == Effect::Changed {
                self.events.push_back(Event::Resource { type_url: timer.type_url, name: timer.name });
            }
        }
        self.prune_timers();
    }

    fn prune_timers(&mut self) {
        let Self { timers, subscriptions, .. } = self;
        timers.prune(|timer| {
            let subscription = subscriptions.iter().find(|known| known.kind.type_url == timer.type_url);
            subscription.is_some_and(|subscription| subscription.runs(timer))
        });
    }

    fn find_mut(&mut self, type_url: &str) -> Option<&mut Subscription> {
        self.subscriptions.iter_mut().find(|known| known.kind.type_url == type_url)
    }

    fn subscription(&mut self, kind: ResourceKind) -> &mut Subscription {
        let known = self.subscriptions.iter().position(|known| known.kind.type_url == kind.type_url);
        let index = known.unwrap_or_else(|| {
            self.subscriptions.push(Subscription::new(kind));
            self.subscriptions.len() - 1
        });
        &mut self.subscriptions[index]
    }
}

/// TR-37
fn canonicalise(response: &mut Response) {
    for resource in &mut response.resources {
        match resource {
            Ok(received) => received.name = canonical(&received.name),
            Err(rejected) => rejected.name = rejected.name.as_ref().map(canonical),
        }
    }
}
