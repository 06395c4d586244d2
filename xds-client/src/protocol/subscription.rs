//! One type of resource: what is watched, what was accepted, and what the server is still owed.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::time::{Duration, Instant};

use mesh_core::config::Name;

use super::nack::Errors;
use super::resource::{Effect, Resource};
use super::timer::{Timer, Timers};
use super::{DataErrors, DeletionNews, Event, Received, Rejected, Request, Response};

/// A type of resource, as far as the protocol needs to know it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ResourceKind {
    /// `type.googleapis.com/` and the message's full name (TR-03).
    pub type_url: &'static str,
    /// Whether a response holds every resource, so that a missing one is deleted: LDS and CDS (TR-26).
    pub full_state: bool,
}

impl ResourceKind {
    /// The message's name without its package, for example `Cluster`.
    pub fn short_name(self) -> &'static str {
        self.type_url.rsplit(['.', '/']).next().unwrap_or(self.type_url)
    }
}

/// The subscription to one type.
#[derive(Debug)]
pub(super) struct Subscription {
    pub(super) kind: ResourceKind,
    resources: BTreeMap<Name, Resource>,
    /// The last accepted one; survives the stream (TR-04).
    version: String,
    /// The last received one; of this stream (TR-04).
    nonce: String,
    /// Asked for on this stream.
    asked: bool,
    /// The names differ from those last sent.
    changed: bool,
    answers: VecDeque<Answer>,
    /// When a request of this stream first left a name out, for a while. The server ignores a request that crosses
    /// one of its responses, so it may have missed that the name went, and thus that it came back.
    left_out: BTreeMap<Name, Instant>,
    /// To be logged.
    deletions: VecDeque<(Name, DeletionNews)>,
}

/// An ACK or a NACK that is due.
#[derive(Debug)]
struct Answer {
    version: String,
    nonce: String,
    error: Option<String>,
    /// Leaves doubtful names out, so that the server sees them come back in the request after it.
    without_doubtful: bool,
}

impl Subscription {
    pub(super) fn new(kind: ResourceKind) -> Self {
        Self {
            kind,
            resources: BTreeMap::new(),
            version: String::new(),
            nonce: String::new(),
            asked: false,
            changed: false,
            answers: VecDeque::new(),
            left_out: BTreeMap::new(),
            deletions: VecDeque::new(),
        }
    }

    pub(super) fn watch(&mut self, name: Name, authority_unknown: Option<&str>) {
        if let Some(resource) = self.resources.get_mut(&name) {
            // TR-11: nothing to send if it is watched already, or again before the server was told otherwise.
            resource.watchers += 1;
            return;
        }
        let mut resource = authority_unknown.map_or_else(Resource::default, Resource::of_unknown_authority);
        resource.watchers = 1;
        resource.doubtful = self.left_out.contains_key(&name);
        self.changed |= resource.is_sent();
        self.resources.insert(name, resource);
    }

    pub(super) fn unwatch(&mut self, name: &Name) {
        let Some(resource) = self.resources.get_mut(name) else { return };
        resource.watchers = resource.watchers.saturating_sub(1);
        if resource.watchers > 0 {
            return;
        }
        if self.asked && resource.is_sent() {
            self.changed = true;
        } else {
            self.forget(name);
        }
    }

    pub(super) fn get(&self, name: &Name) -> Option<&Resource> {
        self.resources.get(name).filter(|resource| resource.watchers > 0)
    }

    pub(super) fn watched(&self) -> impl Iterator<Item = (&Name, &Resource)> {
        self.resources.iter().filter(|(_, resource)| resource.watchers > 0)
    }

    /// Whether the server must be asked for something of this type.
    pub(super) fn is_wanted(&self) -> bool {
        self.watched().any(|(_, resource)| resource.is_sent())
    }

    /// Whether a response of this type is answered (TR-08); one of a type that this stream was never asked for must
    /// not be, because an empty first request would ask for everything (TR-10).
    pub(super) fn answers_responses(&self) -> bool {
        self.asked || self.is_wanted()
    }

    /// A stream begins, or ends: nothing was asked for or answered on the next one.
    pub(super) fn on_stream_reset(&mut self) {
        self.nonce.clear();
        self.answers.clear();
        self.asked = false;
        self.forget_unwatched();
        self.left_out.clear();
        for resource in self.resources.values_mut() {
            resource.timer = None;
            resource.doubtful = false;
        }
        // TR-10
        self.changed = self.is_wanted();
    }

    pub(super) fn pop_deletion(&mut self) -> Option<Event> {
        let (name, news) = self.deletions.pop_front()?;
        Some(Event::Deletion { type_url: self.kind.type_url, name, news })
    }

    pub(super) fn has_request(&self) -> bool {
        self.changed || !self.answers.is_empty()
    }

    /// The next thing to send, if any. `now` starts the timers of what is asked for.
    pub(super) fn poll_request(
        &mut self,
        now: Instant,
        timeout: Duration,
        timers: &mut Timers,
    ) -> Option<Request> {
        let answer = self.answers.pop_front();
        if answer.is_none() && !self.changed {
            return None;
        }
        let (version, nonce, error, without_doubtful) = match answer {
            Some(answer) => (answer.version, answer.nonce, answer.error, answer.without_doubtful),
            None => (self.version.clone(), self.nonce.clone(), None, false),
        };
        self.left_out.retain(|_, since| *since + timeout > now);
        let gone = self.forget_unwatched();
        self.left_out.extend(gone.into_iter().map(|name| (name, now)));
        // TR-09: always the whole set.
        let sent = self.resources.iter().filter(|(_, resource)| resource.is_sent());
        let names = sent.filter(|(_, resource)| !(without_doubtful && resource.doubtful));
        let names = names.map(|(name, _)| name.clone()).collect();
        self.changed = without_doubtful;
        self.asked = true;
        self.start_timers(now, timeout, timers);
        Some(Request { type_url: self.kind.type_url, names, version, nonce, error, with_node: false })
    }

    fn forget_unwatched(&mut self) -> Vec<Name> {
        let unwatched = self.resources.iter().filter(|(_, resource)| resource.watchers == 0);
        let gone: Vec<Name> = unwatched.map(|(name, _)| name.clone()).collect();
        gone.iter().for_each(|name| self.forget(name));
        gone
    }

    fn forget(&mut self, name: &Name) {
        if self.resources.remove(name).is_some_and(|resource| resource.deletion_ignored) {
            self.deletions.push_back((name.clone(), DeletionNews::Unwatched));
        }
    }

    /// TR-18: from the request on, and only for what is neither accepted nor known to be absent.
    fn start_timers(&mut self, now: Instant, timeout: Duration, timers: &mut Timers) {
        for (name, resource) in &mut self.resources {
            if resource.timer.is_none() && resource.is_requested() {
                let deadline = now + timeout;
                resource.timer = Some(deadline);
                timers.start(Timer { deadline, type_url: self.kind.type_url, name: name.clone() });
            }
        }
    }

    /// Whether this timer has not been stopped. It goes on without watchers: one may come back.
    pub(super) fn runs(&self, timer: &Timer) -> bool {
        self.resources.get(&timer.name).is_some_and(|resource| resource.timer == Some(timer.deadline))
    }

    pub(super) fn on_timer(&mut self, timer: &Timer) -> Effect {
        match self.runs(timer) {
            true => self.resources.get_mut(&timer.name).map_or(Effect::Unchanged, Resource::expire),
            false => Effect::Unchanged,
        }
    }

    /// Takes a response in and queues its one answer (TR-07). Returns the names whose watchers must look again.
    pub(super) fn on_response(&mut self, response: Response, data_errors: DataErrors) -> Vec<Name> {
        let version: Name = response.version.as_str().into();
        let repeated = repeated_names(&response.resources);
        let mut held = HashSet::new();
        let mut errors = Errors::default();
        let mut effects = Vec::new();
        for resource in response.resources {
            let resource = match resource {
                Ok(received) if repeated.contains(&received.name) => Err(repetition(received.name)),
                other => other,
            };
            // TR-13, TR-14: one bad resource does not keep the others from being used, or from being checked.
            let name = match &resource {
                Ok(received) => Some(received.name.clone()),
                Err(rejected) => rejected.name.clone(),
            };
            errors.add(self.kind, &resource);
            if let Some(name) = name {
                effects.push((self.apply(&name, resource, &version, data_errors), name.clone()));
                held.insert(name);
            }
        }
        // TR-26. With a resource of unknown name in the response (TR-15), none can be said to be missing.
        if self.kind.full_state && !errors.nameless {
            for (name, resource) in &mut self.resources {
                if resource.is_sent() && !held.contains(name) {
                    let known = resource.deletion_ignored;
                    effects.push((resource.miss(data_errors), name.clone()));
                    if resource.deletion_ignored && !known {
                        self.deletions.push_back((name.clone(), DeletionNews::Ignored));
                    }
                }
            }
        }
        self.answer(response.version, response.nonce, errors);
        let changed = effects.into_iter().filter(|(effect, _)| *effect == Effect::Changed);
        changed.map(|(_, name)| name).filter(|name| self.get(name).is_some()).collect()
    }

    fn apply(
        &mut self,
        name: &Name,
        resource: Result<Received, Rejected>,
        version: &Name,
        data_errors: DataErrors,
    ) -> Effect {
        // TR-12: what nobody asked for is of no interest.
        let Some(known) = self.resources.get_mut(name).filter(|known| known.is_sent()) else {
            return Effect::Unchanged;
        };
        let deleted = known.deletion_ignored;
        let effect = match resource {
            Ok(received) => known.accept(received, version),
            Err(rejected) => known.reject(rejected.reason.into(), data_errors),
        };
        if deleted && !known.deletion_ignored {
            self.deletions.push_back((name.clone(), DeletionNews::Reappeared));
        }
        effect
    }

    fn answer(&mut self, version: String, nonce: String, errors: Errors) {
        let error = errors.into_text();
        if error.is_none() {
            // TR-05; TR-13: not advanced by a NACK.
            self.version = version;
        }
        self.nonce.clone_from(&nonce);
        let without_doubtful = self.resources.values().any(|resource| resource.doubtful);
        self.answers.push_back(Answer { version: self.version.clone(), nonce, error, without_doubtful });
    }
}

/// TR-16
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
