//! One watched resource: what was accepted, and what is wrong with it.

use std::sync::Arc;
use std::time::Instant;

use mesh_core::config::Name;

use super::accepted::{Accepted, Effect, Members, Source};
use super::authority::AuthorityId;
use super::response::ServerError;
use super::{DataErrors, Outage, Problem, ProblemKind, Received, ResourceState, ServerId, View};

/// What is known of one resource that is, or until the next request was, watched.
pub(super) struct Resource {
    /// Who serves it; `None`: nobody (TR-39).
    pub(super) authority: Option<AuthorityId>,
    /// How many watch it. At zero it lives until a request has left it out: until then the server believes that
    /// we have it and would not send it to a new watcher.
    pub(super) watchers: usize,
    /// Deleted by the server, and in use all the same (TR-27).
    pub(super) deletion_ignored: bool,
    /// Where the name is that of a collection.
    pub(super) members: Members,
    accepted: Option<Accepted>,
    problem: Option<Problem>,
    /// Who had the last word on it.
    heard_from: Option<ServerId>,
    /// The version that was refused last, and when.
    rejected: Option<(Name, Instant)>,
}

impl Resource {
    pub(super) fn new(authority: Option<AuthorityId>) -> Self {
        Self {
            authority,
            watchers: 0,
            deletion_ignored: false,
            members: Members::default(),
            accepted: None,
            problem: None,
            heard_from: None,
            rejected: None,
        }
    }

    pub(super) fn of_unknown_authority(authority: &str) -> Self {
        let reason = format!("authority {authority:?} is not in the bootstrap");
        Self { problem: Some(Problem::new(ProblemKind::UnknownAuthority, reason)), ..Self::new(None) }
    }

    pub(super) fn state(&self) -> ResourceState {
        match &self.problem {
            Some(problem) => match problem.kind {
                ProblemKind::Rejected => ResourceState::Nacked,
                ProblemKind::Withheld | ProblemKind::Failed => ResourceState::ReceivedError,
                ProblemKind::TimedOut => ResourceState::Timeout,
                _ => ResourceState::DoesNotExist,
            },
            None if self.is_accepted() && !self.is_stale() => ResourceState::Acked,
            None => ResourceState::Requested,
        }
    }

    pub(super) fn view(&self, outage: Option<&Outage>) -> View {
        let problem = self.problem.clone().or_else(|| outage.map(Outage::problem));
        match (&self.accepted, problem) {
            // TR-25, TR-28: with something accepted every trouble is ambient.
            (Some(accepted), problem) => View {
                value: Some(Ok(accepted.resource.clone())),
                ambient: problem.or_else(|| self.is_stale().then(stale)),
            },
            (None, Some(problem)) => View { value: Some(Err(problem)), ..View::default() },
            (None, None) => View::default(),
        }
    }

    pub(super) fn accept(&mut self, received: &Received, version: Name, source: Source) -> Effect {
        let accepted = Accepted::new(received, version, source);
        self.deletion_ignored = false;
        self.rejected = None;
        self.heard_from = Some(source.server);
        let had_problem = self.problem.take().is_some() || self.is_stale();
        // TR-23. TR-47: another server's is news even so, and so is a snapshot's, which may be of another.
        let same = self
            .accepted
            .as_ref()
            .is_some_and(|known| known.bytes == accepted.bytes && known.server == accepted.server);
        match (&mut self.accepted, same) {
            (Some(known), true) => {
                (known.version, known.at) = (accepted.version, accepted.at);
                if had_problem { Effect::Changed } else { Effect::Unchanged }
            }
            (known, _) => {
                *known = Some(accepted);
                Effect::Changed
            }
        }
    }

    /// What an earlier run had accepted, while nothing else is known.
    pub(super) fn restore(&mut self, last_good: Accepted) {
        self.accepted = Some(last_good);
    }

    pub(super) fn reject(&mut self, reason: Arc<str>, version: Name, source: Source) -> Effect {
        self.rejected = Some((version, source.now));
        self.fail(Problem::new(ProblemKind::Rejected, reason), source)
    }

    /// A member of this collection. Whether it is different.
    pub(super) fn accept_member(&mut self, name: &Name, accepted: Accepted) -> Effect {
        self.heal(name);
        self.members.insert(name, accepted)
    }

    /// The trouble is the collection's; the others of its members stay as they are. Whether the member is gone.
    pub(super) fn reject_member(
        &mut self,
        name: &Name,
        reason: &str,
        version: Name,
        source: Source,
    ) -> Effect {
        self.rejected = Some((version, source.now));
        self.members.refuse(name);
        self.problem = Some(Problem::new(ProblemKind::Rejected, format!("member {name}: {reason}")));
        match source.data_errors {
            DataErrors::Fail => self.members.remove(name),
            DataErrors::Ambient | DataErrors::IgnoreDeletion => Effect::Unchanged,
        }
    }

    pub(super) fn remove_member(&mut self, name: &Name) -> Effect {
        self.heal(name);
        self.members.remove(name)
    }

    fn heal(&mut self, member: &Name) {
        if self.members.heal(member) {
            self.problem = None;
        }
    }

    /// The collection is this server's from now on; the members that another had sent, which are gone.
    pub(super) fn adopt(&mut self, collection: &Name, source: Source) -> (Effect, Vec<Name>) {
        if self.accepted.as_ref().is_some_and(|known| known.server == Some(source.server)) {
            self.heard_from = Some(source.server);
            // What comes of a collection ends what was said of it as a whole.
            let ends = !self.members.has_refused() && self.problem.take().is_some();
            return (if ends { Effect::Changed } else { Effect::Unchanged }, Vec::new());
        }
        self.members.heal_all();
        let effect = self.accept(&Received::of_collection(collection), "".into(), source);
        (effect, self.members.retain_of(source.server))
    }

    /// A response that holds every resource of its type does not hold this one.
    pub(super) fn miss(&mut self, source: Source) -> Effect {
        match source.data_errors {
            // TR-27
            DataErrors::IgnoreDeletion if self.is_accepted() => {
                self.deletion_ignored = true;
                Effect::Unchanged
            }
            _ => self.fail(absent(), source),
        }
    }

    /// TR-52: the server says that there is no such resource (any more).
    pub(super) fn remove(&mut self, full_state: bool, source: Source) -> Effect {
        if full_state && self.is_accepted() && source.data_errors == DataErrors::IgnoreDeletion {
            self.deletion_ignored = true;
            return Effect::Unchanged;
        }
        self.fail(absent(), source)
    }

    // TR-30
    pub(super) fn withhold(&mut self, error: &ServerError, source: Source) -> Effect {
        let kind = if error.is_data_error() { ProblemKind::Withheld } else { ProblemKind::Failed };
        let reason = match error.message.is_empty() {
            true => format!("the control server answers with code {}", error.code),
            false => format!("the control server answers with code {}: {}", error.code, error.message),
        };
        self.fail(Problem::new(kind, reason), source)
    }

    /// TR-19: the timer has run out, without a word of the server. Also when a server that took over does not have what
    /// another had, or one that is back what it had itself.
    pub(super) fn expire(&mut self, timeout: Problem, source: Source) -> Effect {
        self.fail(timeout, source)
    }

    /// Whether this server has not said anything of it yet.
    pub(super) fn is_owed(&self, server: ServerId) -> bool {
        self.state() == ResourceState::Requested || self.heard_from != Some(server)
    }

    /// TR-35: its time is over, and with it the value.
    pub(super) fn outlive(&mut self) -> Effect {
        match self.accepted.take() {
            Some(_) => {
                self.members = Members::default();
                self.problem = Some(Problem::new(ProblemKind::DoesNotExist, "its time to live has passed"));
                Effect::Changed
            }
            None => Effect::Unchanged,
        }
    }

    fn fail(&mut self, problem: Problem, source: Source) -> Effect {
        self.heard_from = Some(source.server);
        // TR-29
        let drops = source.data_errors == DataErrors::Fail && problem.kind.is_data_error();
        let dropped = drops && self.accepted.take().is_some();
        let told = self.problem.as_ref() == Some(&problem);
        self.problem = Some(problem);
        if told && !dropped { Effect::Unchanged } else { Effect::Changed }
    }

    pub(super) fn accepted(&self) -> Option<&Accepted> {
        self.accepted.as_ref()
    }

    pub(super) fn error(&self) -> Option<String> {
        self.problem.as_ref().map(ToString::to_string)
    }

    pub(super) fn rejected(&self) -> Option<&(Name, Instant)> {
        self.rejected.as_ref().filter(|_| self.state() == ResourceState::Nacked)
    }

    /// Whether nothing was said against what is in use.
    pub(super) fn is_sound(&self) -> bool {
        self.problem.is_none() && !self.deletion_ignored
    }

    pub(super) fn is_accepted(&self) -> bool {
        self.accepted.is_some()
    }

    /// What is in use was read from a snapshot.
    pub(super) fn is_stale(&self) -> bool {
        self.accepted.as_ref().is_some_and(|known| known.server.is_none())
    }

    /// Who says that it does not exist.
    pub(super) fn denied_by(&self) -> Option<ServerId> {
        let kind = self.problem.as_ref().map(|problem| problem.kind);
        let denied = matches!(kind, Some(ProblemKind::DoesNotExist | ProblemKind::Withheld));
        self.heard_from.filter(|_| denied)
    }

    /// A server of this run has sent it, or says that it does not exist, if the server has answered anything at all.
    pub(super) fn is_settled(&self) -> bool {
        self.is_accepted() && !self.is_stale() || self.denied_by().is_some()
    }

    /// Neither accepted, nor refused, nor known to be absent.
    pub(super) fn is_requested(&self) -> bool {
        self.state() == ResourceState::Requested
    }

    /// TR-42: neither received nor known to be absent.
    pub(super) fn is_missing(&self) -> bool {
        let unknown = matches!(
            self.state(),
            ResourceState::Requested | ResourceState::Timeout | ResourceState::ReceivedError
        );
        unknown && (!self.is_accepted() || self.is_stale())
    }
}

impl std::fmt::Debug for Resource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Resource")
            .field("state", &self.state())
            .field("watchers", &self.watchers)
            .field("version", &self.accepted.as_ref().map(|known| &known.version))
            .finish_non_exhaustive()
    }
}

pub(super) fn absent() -> Problem {
    Problem::new(ProblemKind::DoesNotExist, "does not exist")
}

fn stale() -> Problem {
    Problem::new(ProblemKind::Stale, "read from the last-good snapshot of an earlier run")
}
