//! One watched resource: the accepted value, and what is wrong with it.

use std::sync::Arc;
use std::time::Instant;

use mesh_core::config::Name;

use super::accepted::{Accepted, Effect, Members, Source};
use super::authority::AuthorityId;
use super::response::ServerError;
use super::{DataErrors, Outage, Problem, ProblemKind, Received, ResourceState, ServerId, View};

/// The state of one resource that is watched, or was until the next request.
pub(super) struct Resource {
    /// The authority of its name; `None`: unknown (TR-39).
    pub(super) authority: Option<AuthorityId>,
    /// The number of watches. At zero it lives until a request omits its name: until then the server believes that
    /// the client has it and would not send it for a new watch.
    pub(super) watchers: usize,
    /// The server has deleted it, and it stays in use (TR-27).
    pub(super) deletion_ignored: bool,
    /// Where the name is that of a collection.
    pub(super) members: Members,
    accepted: Option<Accepted>,
    problem: Option<Problem>,
    /// The server that answered for it last.
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
            // TR-25, TR-28: beside an accepted value every problem is ambient.
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
        // TR-23. TR-47: the same resource from another server is an update, and so is one after a snapshot.
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

    /// Uses the value of an earlier run, while no server has answered.
    pub(super) fn restore(&mut self, last_good: Accepted) {
        self.accepted = Some(last_good);
    }

    pub(super) fn reject(&mut self, reason: Arc<str>, version: Name, source: Source) -> Effect {
        self.rejected = Some((version, source.now));
        self.fail(Problem::new(ProblemKind::Rejected, reason), source)
    }

    /// Accepts a member of this collection. Returns whether it has changed.
    pub(super) fn accept_member(&mut self, name: &Name, accepted: Accepted) -> Effect {
        self.heal(name);
        self.members.insert(name, accepted)
    }

    /// Refuses a member. The problem is the collection's; the other members stay. Returns whether the member is removed.
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

    /// The collection belongs to this server from now on. Returns the members of another server, which are removed.
    pub(super) fn adopt(&mut self, collection: &Name, source: Source) -> (Effect, Vec<Name>) {
        if self.accepted.as_ref().is_some_and(|known| known.server == Some(source.server)) {
            self.heard_from = Some(source.server);
            // A member ends the problem of the whole collection.
            let ends = !self.members.has_refused() && self.problem.take().is_some();
            return (if ends { Effect::Changed } else { Effect::Unchanged }, Vec::new());
        }
        self.members.heal_all();
        let effect = self.accept(&Received::of_collection(collection), "".into(), source);
        (effect, self.members.retain_of(source.server))
    }

    /// A response with every resource of its type does not have this one.
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

    /// TR-52: the server says that the resource does not exist (any more).
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

    /// TR-19: the timer has run out without an answer of the server. Also when a server that took over does not have a
    /// resource of another server, or a recovered server does not have its own.
    pub(super) fn expire(&mut self, timeout: Problem, source: Source) -> Effect {
        self.fail(timeout, source)
    }

    /// Whether this server has not answered for it yet.
    pub(super) fn is_owed(&self, server: ServerId) -> bool {
        self.state() == ResourceState::Requested || self.heard_from != Some(server)
    }

    /// TR-35: its time to live is over: removes the value.
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

    /// Whether a value is in use without any problem.
    pub(super) fn is_sound(&self) -> bool {
        self.problem.is_none() && !self.deletion_ignored
    }

    pub(super) fn is_accepted(&self) -> bool {
        self.accepted.is_some()
    }

    /// Whether the value in use was read from a snapshot.
    pub(super) fn is_stale(&self) -> bool {
        self.accepted.as_ref().is_some_and(|known| known.server.is_none())
    }

    /// The server that says that it does not exist.
    pub(super) fn denied_by(&self) -> Option<ServerId> {
        let kind = self.problem.as_ref().map(|problem| problem.kind);
        let denied = matches!(kind, Some(ProblemKind::DoesNotExist | ProblemKind::Withheld));
        self.heard_from.filter(|_| denied)
    }

    /// Whether a server of this run has answered for it: sent it, or said that it does not exist.
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
