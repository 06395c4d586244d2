//! One type of resource at one server: what it is asked for, and what it is still owed.

mod delta;
mod sotw;

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use mesh_core::config::Name;

use super::timer::{Timer, Timers};
use super::{Request, Variant};

use delta::Delta;
use sotw::Sotw;

/// A type of resource, as far as the protocol needs to know it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct ResourceKind {
    /// `type.googleapis.com/` and the message's full name.
    // TR-03
    pub type_url: &'static str,
    /// Whether a response holds every resource, so that a missing one is deleted: LDS and CDS.
    // TR-26
    pub full_state: bool,
}

impl ResourceKind {
    /// The message's name without its package, for example `Cluster`.
    pub(crate) fn short_name(self) -> &'static str {
        self.type_url.rsplit(['.', '/']).next().unwrap_or(self.type_url)
    }
}

/// One name that the server is asked for, or was in the last request.
#[derive(Debug, Default)]
struct Place {
    wanted: bool,
    /// The does-not-exist timer, while it runs.
    timer: Option<Instant>,
}

/// The names of a subscription.
type Places = BTreeMap<Name, Place>;

/// The subscription to one type.
#[derive(Debug)]
pub(super) struct Subscription {
    pub(super) kind: ResourceKind,
    places: Places,
    /// Asked for on this stream.
    asked: bool,
    /// Asked for, and without a timer so far.
    untimed: BTreeSet<Name>,
    wire: Wire,
}

/// What the two protocols remember.
#[derive(Debug)]
enum Wire {
    Sotw(Sotw),
    Delta(Delta),
}

/// What a request is made of besides the subscription itself.
pub(super) struct Desk<'a> {
    pub(super) now: Instant,
    pub(super) timeout: Duration,
    pub(super) timers: &'a mut Timers,
    /// Whether the server is to send this resource: it has not yet, or its word did not count.
    pub(super) must_send: &'a dyn Fn(&Name) -> bool,
    /// What is in use from this server (TR-49).
    pub(super) versions: &'a dyn Fn() -> Vec<(Name, Name)>,
}

impl Subscription {
    pub(super) fn new(kind: ResourceKind, variant: Variant) -> Self {
        let wire = match variant {
            Variant::Sotw => Wire::Sotw(Sotw::default()),
            Variant::Delta => Wire::Delta(Delta::default()),
        };
        Self { kind, places: Places::new(), asked: false, untimed: BTreeSet::new(), wire }
    }

    pub(super) fn want(&mut self, name: &Name) {
        if let Some(place) = self.places.get_mut(name) {
            // TR-11: nothing to send if it is watched already, or again before the server was told otherwise.
            if !std::mem::replace(&mut place.wanted, true) {
                self.wire.on_return(name);
            }
            return;
        }
        self.places.insert(name.clone(), Place { wanted: true, timer: None });
        self.untimed.insert(name.clone());
        self.wire.on_want(name);
    }

    /// Whether the name is forgotten at once: otherwise it is once the server has been told.
    pub(super) fn unwant(&mut self, name: &Name) -> bool {
        let Some(place) = self.places.get_mut(name) else { return false };
        place.wanted = false;
        let at_once = !self.asked || self.wire.is_untold(name);
        self.wire.on_unwant(name, self.asked);
        if at_once {
            self.places.remove(name);
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
        self.places.len() + self.untimed.len() + owed
    }

    pub(super) fn is_sotw(&self) -> bool {
        matches!(self.wire, Wire::Sotw(_))
    }

    /// Whether the server is, or was in the last request, asked for it.
    pub(super) fn has(&self, name: &Name) -> bool {
        self.places.contains_key(name)
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &Name> {
        self.places.keys()
    }

    /// Whether the server must be asked for something of this type.
    pub(super) fn is_wanted(&self) -> bool {
        self.places.values().any(|place| place.wanted)
    }

    /// Whether a response of this type is answered (TR-08); one of a type that this stream was never asked for must
    /// not be, because an empty first request would ask for everything (TR-10).
    pub(super) fn answers_responses(&self) -> bool {
        self.asked || self.is_wanted()
    }

    /// A stream begins, or ends: nothing was asked for or answered on the next one. The names that are forgotten
    /// now.
    pub(super) fn on_stream_reset(&mut self) -> Vec<Name> {
        self.asked = false;
        let gone = self.forget_unwanted();
        self.untimed = self.places.keys().cloned().collect();
        for place in self.places.values_mut() {
            place.timer = None;
        }
        let is_wanted = self.is_wanted();
        self.wire.on_stream_reset(is_wanted);
        gone
    }

    pub(super) fn has_request(&self) -> bool {
        match &self.wire {
            Wire::Sotw(sotw) => sotw.has_request(),
            // TR-10: an empty first request would ask for everything.
            Wire::Delta(delta) => {
                delta.has_answer() || if self.asked { delta.has_change() } else { self.is_wanted() }
            }
        }
    }

    /// The next thing to send, if any, and the names that are forgotten with it.
    pub(super) fn poll_request(&mut self, desk: &mut Desk<'_>) -> Option<(Request, Vec<Name>)> {
        if !self.has_request() {
            return None;
        }
        let gone = self.forget_unwanted();
        let (type_url, asked) = (self.kind.type_url, std::mem::replace(&mut self.asked, true));
        let request = match &mut self.wire {
            Wire::Sotw(sotw) => {
                // Of what this server has not said, or another has since, its version says nothing.
                if !asked && self.places.keys().any(desk.must_send) {
                    sotw.forget_version();
                }
                sotw.request(type_url, &self.places, &gone, desk)
            }
            Wire::Delta(delta) if asked => delta.request(type_url),
            Wire::Delta(delta) => delta.first_request(type_url, &self.places, desk),
        };
        self.start_timers(desk);
        Some((request, gone))
    }

    fn forget_unwanted(&mut self) -> Vec<Name> {
        let unwanted = self.places.iter().filter(|(_, place)| !place.wanted);
        let gone: Vec<Name> = unwanted.map(|(name, _)| name.clone()).collect();
        for name in &gone {
            self.places.remove(name);
            self.wire.on_forget(name);
        }
        gone
    }

    /// TR-18: from the request on, and only for what is neither accepted nor known to be absent.
    fn start_timers(&mut self, desk: &mut Desk<'_>) {
        for name in std::mem::take(&mut self.untimed) {
            let Some(place) = self.places.get_mut(&name).filter(|place| place.timer.is_none()) else {
                continue;
            };
            if (desk.must_send)(&name) {
                let deadline = desk.now + desk.timeout;
                place.timer = Some(deadline);
                desk.timers.start(Timer { deadline, type_url: self.kind.type_url, name });
            }
        }
    }

    /// Whether this timer has not been stopped. It goes on without watchers: one may come back.
    pub(super) fn runs(&self, timer: &Timer) -> bool {
        self.places.get(&timer.name).is_some_and(|place| place.timer == Some(timer.deadline))
    }

    /// Whether the time that the server has for it is not over.
    pub(super) fn awaits(&self, name: &Name) -> bool {
        let is_timed = self.places.get(name).is_some_and(|place| place.timer.is_some());
        is_timed || self.untimed.contains(name)
    }

    /// The server has answered for it, or is not going to. TR-21: also with an invalid one.
    pub(super) fn settle(&mut self, name: &Name) {
        if let Some(place) = self.places.get_mut(name) {
            place.timer = None;
            self.wire.on_settled(name);
        }
    }

    /// Not everything that the last response says counted.
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

    /// Wanted again before the server was told otherwise.
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
