//! One watched resource: what was accepted, and what is wrong with it.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use mesh_core::config::Name;

use crate::resource::AnyResource;

use super::{DataErrors, Outage, Problem, ProblemKind, Received, ResourceState, View};

/// Whether watchers must look again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Effect {
    Changed,
    Unchanged,
}

struct Accepted {
    resource: AnyResource,
    bytes: Bytes,
    version: Name,
}

/// What is known of one resource that is, or until the next request was, watched.
#[derive(Default)]
pub(super) struct Resource {
    /// How many watch it. At zero it lives until a request has left it out: until then the server believes that
    /// we have it and would not send it to a new watcher.
    pub(super) watchers: usize,
    /// The does-not-exist timer, while it runs.
    pub(super) timer: Option<Instant>,
    /// Left out and named again under one nonce: the server may have missed both, and believe that we have it.
    pub(super) doubtful: bool,
    /// Deleted by the server, and in use all the same (TR-27).
    pub(super) deletion_ignored: bool,
    accepted: Option<Accepted>,
    problem: Option<Problem>,
}

impl Resource {
    pub(super) fn of_unknown_authority(authority: &str) -> Self {
        let reason = format!("authority {authority:?} is not in the bootstrap");
        Self { problem: Some(Problem::new(ProblemKind::UnknownAuthority, reason)), ..Self::default() }
    }

    /// Whether the server is asked for it.
    pub(super) fn is_sent(&self) -> bool {
        !matches!(&self.problem, Some(problem) if problem.kind == ProblemKind::UnknownAuthority)
    }

    pub(super) fn state(&self) -> ResourceState {
        match &self.problem {
            Some(problem) if problem.kind == ProblemKind::Rejected => ResourceState::Nacked,
            Some(_) => ResourceState::DoesNotExist,
            None if self.accepted.is_some() => ResourceState::Acked,
            None => ResourceState::Requested,
        }
    }

    pub(super) fn view(&self, outage: Option<&Outage>) -> View {
        let problem = self.problem.clone().or_else(|| outage.map(Outage::problem));
        match (&self.accepted, problem) {
            // TR-25, TR-28: with something accepted every trouble is ambient.
            (Some(accepted), ambient) => View { value: Some(Ok(accepted.resource.clone())), ambient },
            (None, Some(problem)) => View { value: Some(Err(problem)), ambient: None },
            (None, None) => View::default(),
        }
    }

    pub(super) fn accept(&mut self, received: Received, version: &Name) -> Effect {
        let Received { resource, bytes, .. } = received;
        self.settle();
        self.deletion_ignored = false;
        let had_problem = self.problem.take().is_some();
        match &mut self.accepted {
            // TR-23
            Some(accepted) if accepted.bytes == bytes => {
                accepted.version = version.clone();
                if had_problem { Effect::Changed } else { Effect::Unchanged }
            }
            accepted => {
                *accepted = Some(Accepted { resource, bytes, version: version.clone() });
                Effect::Changed
            }
        }
    }

    pub(super) fn reject(&mut self, reason: Arc<str>, data_errors: DataErrors) -> Effect {
        self.settle();
        self.fail(Problem::new(ProblemKind::Rejected, reason), data_errors)
    }

    /// A response that holds every resource of its type does not hold this one.
    pub(super) fn miss(&mut self, data_errors: DataErrors) -> Effect {
        match (self.state(), data_errors) {
            // TR-26: never received, so the timer decides.
            (ResourceState::Requested, _) => Effect::Unchanged,
            // TR-27
            (_, DataErrors::IgnoreDeletion) if self.accepted.is_some() => {
                self.deletion_ignored = true;
                Effect::Unchanged
            }
            _ => self.fail(absent(), data_errors),
        }
    }

    /// TR-19: the timer has run out.
    pub(super) fn expire(&mut self) -> Effect {
        self.settle();
        match self.state() {
            ResourceState::Requested => {
                self.problem = Some(absent());
                Effect::Changed
            }
            _ => Effect::Unchanged,
        }
    }

    /// The server has answered for it, or is not going to.
    fn settle(&mut self) {
        // TR-21: also by an invalid one.
        self.timer = None;
        self.doubtful = false;
    }

    fn fail(&mut self, problem: Problem, data_errors: DataErrors) -> Effect {
        let dropped = match data_errors {
            // TR-29
            DataErrors::Fail => self.accepted.take().is_some(),
            DataErrors::Ambient | DataErrors::IgnoreDeletion => false,
        };
        let told = self.problem.as_ref() == Some(&problem);
        self.problem = Some(problem);
        if told && !dropped { Effect::Unchanged } else { Effect::Changed }
    }

    pub(super) fn version(&self) -> Name {
        self.accepted.as_ref().map_or_else(|| "".into(), |accepted| accepted.version.clone())
    }

    pub(super) fn error(&self) -> Option<String> {
        self.problem.as_ref().map(ToString::to_string)
    }

    pub(super) fn is_accepted(&self) -> bool {
        self.accepted.is_some()
    }

    /// Neither accepted, nor refused, nor known to be absent.
    pub(super) fn is_requested(&self) -> bool {
        self.state() == ResourceState::Requested
    }
}

impl std::fmt::Debug for Resource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Resource")
            .field("state", &self.state())
            .field("watchers", &self.watchers)
            .field("version", &self.version())
            .field("timer", &self.timer)
            .finish_non_exhaustive()
    }
}

fn absent() -> Problem {
    Problem::new(ProblemKind::DoesNotExist, "does not exist")
}
