//! One type of resource at one server: the subscribed names, and the timers of missing resources.

mod delta;
mod sotw;

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use mesh_core::config::Name;

use super::timer::{Timer, Timers};
use super::{Request, Variant};

use delta::Delta;
use sotw::Sotw;

/// The protocol's description of a type of resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct ResourceKind {
    /// `type.googleapis.com/` and the message's full name.
    // TR-03
    pub type_url: &'static str,
    /// Whether a response has every resource, so that a missing one is deleted: LDS and CDS.
    // TR-26
    pub full_state: bool,
}

impl ResourceKind {
    /// The message's name without its package, for example `Cluster`.
    pub(crate) fn short_name(self) -> &'static str {
        self.type_url.rsplit(['.', '/']).next().unwrap_or(self.type_url)
    }
}

/// A name that the server is subscribed to for, or was in the last request.
#[derive(Debug, Default)]
struct NameState {
    wanted: bool,
    /// The does-not-exist timer, while it runs.
    timer: Option<Instant>,
}

/// The names of a subscription.
type NameStates = BTreeMap<Name, NameState>;

/// The subscription to one type.
#[derive(Debug)]
pub(super) struct Subscription {
    pub(super) kind: ResourceKind,
    states: NameStates,
    /// A request of this type was sent on this stream.
    asked: bool,
    /// Names that were sent, and have no timer yet.
    untimed: BTreeSet<Name>,
    wire: Wire,
}

/// The state of either protocol.
#[derive(Debug)]
enum Wire {
    Sotw(Sotw),
    Delta(Delta),
}

/// What a request needs besides the subscription itself.
pub(super) struct RequestContext<'a> {
    pub(super) now: Instant,
    pub(super) timeout: Duration,
    pub(super) timers: &'a mut Timers,
    /// Whether the server has to send this resource: it has not answered yet, or its answer was not used.
    pub(super) must_send: &'a dyn Fn(&Name) -> bool,
    /// The versions of the resources in use from this server (TR-49).
    pub(super) versions: &'a dyn Fn() -> Vec<(Name, Name)>,
}

impl Subscription {
    pub(super) fn new(kind: ResourceKind, variant: Variant) -> Self {
        let wire = match variant {
            Variant::Sotw => Wire::Sotw(Sotw::default()),
            Variant::Delta => Wire::Delta(Delta::default()),
        };
        Self { kind, states: NameStates::new(), asked: false, untimed: BTreeSet::new(), wire }
    }

    pub(super) fn want(&mut self, name: &Name) {
        if let Some(place) = self.states.get_mut(name) {
            // TR-11: nothing to send if it is watched already, or again before a request omitted it.
            if !std::mem::replace(&mut place.wanted, true) {
                self.wire.on_return(name);
            }
            return;
        }
        self.states.insert(name.clone(), NameState { wanted: true, timer: None });
        self.untimed.insert(name.clone());
        self.wire.on_want(name);
    }

    /// Whether the name is dropped at once, and not with the request that unsubscribes it.
    pub(super) fn unwant(&mut self, name: &Name) -> bool {
        let Some(place) = self.states.get_mut(name) else { return false };
        place.wanted = false;
        let at_once = !self.asked || self.wire.is_untold(name);
        self.wire.on_unwant(name, self.asked);
        if at_once {
            self.states.remove(name);
            self.untimed.remove(name);
            self.wire.on_forget(name);
        }
        at_once
    }

    #[cfg(test)]
    pub(super) fn footprint(&self) -> usize {
        let owed = match &self.wire {
            Wire::Sotw(sotw) => sotw.footprint(),
            Wire::Delta(delta) => delta.footprint(),
        };
        self.states.len() + self.untimed.len() + owed
    }

    pub(super) fn is_sotw(&self) -> bool {
        matches!(self.wire, Wire::Sotw(_))
    }

    /// Whether the name is subscribed to, or was in the last request.
    pub(super) fn has(&self, name: &Name) -> bool {
        self.states.contains_key(name)
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &Name> {
        self.states.keys()
    }

    /// Whether a name of this type is watched.
    pub(super) fn is_wanted(&self) -> bool {
        self.states.values().any(|place| place.wanted)
    }

    /// Whether a response of this type is answered (TR-08). A response of a type without a request on this stream must
    /// not be, because an empty first request would subscribe to everything (TR-10).
    pub(super) fn answers_responses(&self) -> bool {
        self.asked || self.is_wanted()
    }

    /// A stream begins or ends: the next one starts without requests and answers. Returns the names that are dropped
    /// now.
    pub(super) fn on_stream_reset(&mut self) -> Vec<Name> {
        self.asked = false;
        let gone = self.forget_unwanted();
        self.untimed = self.states.keys().cloned().collect();
        for place in self.states.values_mut() {
            place.timer = None;
        }
        let is_wanted = self.is_wanted();
        self.wire.on_stream_reset(is_wanted);
        gone
    }

    pub(super) fn has_request(&self) -> bool {
        match &self.wire {
            Wire::Sotw(sotw) => sotw.has_request(),
            // TR-10: an empty first request would subscribe to everything.
            Wire::Delta(delta) => {
                delta.has_answer() || if self.asked { delta.has_change() } else { self.is_wanted() }
            }
        }
    }

    /// The next request, if any, and the names that are dropped with it.
    pub(super) fn poll_request(&mut self, context: &mut RequestContext<'_>) -> Option<(Request, Vec<Name>)> {
        if !self.has_request() {
            return None;
        }
        let gone = self.forget_unwanted();
        let (type_url, asked) = (self.kind.type_url, std::mem::replace(&mut self.asked, true));
        let request = match &mut self.wire {
            Wire::Sotw(sotw) => {
                // The version does not cover resources that this server has not sent, or another one has sent since.
                if !asked && self.states.keys().any(context.must_send) {
                    sotw.forget_version();
                }
                sotw.request(type_url, &self.states, &gone, context)
            }
            Wire::Delta(delta) if asked => delta.request(type_url),
            Wire::Delta(delta) => delta.first_request(type_url, &self.states, context),
        };
        self.start_timers(context);
        Some((request, gone))
    }

    fn forget_unwanted(&mut self) -> Vec<Name> {
        let unwanted = self.states.iter().filter(|(_, place)| !place.wanted);
        let gone: Vec<Name> = unwanted.map(|(name, _)| name.clone()).collect();
        for name in &gone {
            self.states.remove(name);
            self.wire.on_forget(name);
        }
        gone
    }

    /// TR-18: from the request on, and only for resources that are neither accepted nor known to be absent.
    fn start_timers(&mut self, context: &mut RequestContext<'_>) {
        for name in std::mem::take(&mut self.untimed) {
            let Some(place) = self.states.get_mut(&name).filter(|place| place.timer.is_none()) else {
                continue;
            };
            if (context.must_send)(&name) {
                let deadline = context.now + context.timeout;
                place.timer = Some(deadline);
                context.timers.start(Timer { deadline, type_url: self.kind.type_url, name });
            }
        }
    }

    /// Whether this timer has not been stopped. It continues without watches: the name may be watched again.
    pub(super) fn runs(&self, timer: &Timer) -> bool {
        self.states.get(&timer.name).is_some_and(|place| place.timer == Some(timer.deadline))
    }

    /// Whether the server still has time to send the resource.
    pub(super) fn awaits(&self, name: &Name) -> bool {
        let is_timed = self.states.get(name).is_some_and(|place| place.timer.is_some());
        is_timed || self.untimed.contains(name)
    }

    /// The server has answered for the resource, or will not. TR-21: also with an invalid one.
    pub(super) fn settle(&mut self, name: &Name) {
        if let Some(place) = self.states.get_mut(name) {
            place.timer = None;
            self.wire.on_settled(name);
        }
    }

    /// A part of the last response was not used.
    pub(super) fn on_ignored(&mut self) {
        if let Wire::Sotw(sotw) = &mut self.wire {
            sotw.on_ignored();
        }
    }

    /// Queues the one answer to a response (TR-07).
    pub(super) fn answer(&mut self, version: String, nonce: String, error: Option<String>) {
        match &mut self.wire {
            Wire::Sotw(sotw) => sotw.answer(version, nonce, error),
            Wire::Delta(delta) => delta.answer(nonce, error),
        }
    }
}

impl Wire {
    fn on_want(&mut self, name: &Name) {
        match self {
            Self::Sotw(sotw) => sotw.on_want(name),
            Self::Delta(delta) => delta.on_want(name),
        }
    }

    /// Watched again before a request omitted it.
    fn on_return(&mut self, name: &Name) {
        if let Self::Delta(delta) = self {
            delta.on_return(name);
        }
    }

    fn is_untold(&self, name: &Name) -> bool {
        matches!(self, Self::Delta(delta) if delta.is_untold(name))
    }

    fn on_unwant(&mut self, name: &Name, asked: bool) {
        match self {
            Self::Sotw(sotw) => sotw.on_unwant(asked),
            Self::Delta(delta) => delta.on_unwant(name, asked),
        }
    }

    fn on_forget(&mut self, name: &Name) {
        if let Self::Sotw(sotw) = self {
            sotw.on_settled(name);
        }
    }

    fn on_settled(&mut self, name: &Name) {
        if let Self::Sotw(sotw) = self {
            sotw.on_settled(name);
        }
    }

    fn on_stream_reset(&mut self, is_wanted: bool) {
        match self {
            Self::Sotw(sotw) => sotw.on_stream_reset(is_wanted),
            Self::Delta(delta) => delta.on_stream_reset(),
        }
    }
}
