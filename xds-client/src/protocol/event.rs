//! Events for watchers.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use mesh_core::config::Name;

use crate::resource::AnyResource;

/// A change that a watcher has to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Event {
    /// [`AdsState::view`](super::AdsState::view) of this resource.
    Resource {
        /// Its type.
        type_url: &'static str,
        /// Its canonical name.
        name: Name,
    },
    /// Members of a watched collection: [`AdsState::member`](super::AdsState::member) of each (TR-56).
    Members {
        /// Their type.
        type_url: &'static str,
        /// The collection's canonical name.
        collection: Name,
        /// The members that have changed or were removed.
        changed: Vec<Name>,
    },
    /// A server has become unreachable or reachable, or an authority uses another server:
    /// [`AdsState::outage`](super::AdsState::outage).
    Outage,
    /// For the log only: a deletion was ignored, or an ignored deletion is over, under
    /// [`DataErrors::IgnoreDeletion`](super::DataErrors::IgnoreDeletion) (TR-27).
    Deletion {
        /// Its type.
        type_url: &'static str,
        /// Its canonical name.
        name: Name,
        /// Which of these.
        status: DeletionStatus,
    },
}

/// The state of a deletion that is ignored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DeletionStatus {
    /// The server has deleted the resource, and it stays in use. Worth a warning.
    Ignored,
    /// The server has it again.
    Reappeared,
    /// The last watch of the resource has ended.
    Unwatched,
}

/// A resource as its watcher sees it (TR-31): the value, and the problem beside it (TR-32).
#[derive(Clone, Default)]
pub(crate) struct View {
    /// `None`: not known yet. An error: there is no value to use.
    pub value: Option<Result<AnyResource, Problem>>,
    /// A problem that leaves the value in use.
    pub ambient: Option<Problem>,
}

impl fmt::Debug for View {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.value.as_ref().map(|value| value.as_ref().map(|_| ".."));
        f.debug_struct("View").field("value", &value).field("ambient", &self.ambient).finish()
    }
}

/// What is wrong with a resource.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
#[non_exhaustive]
pub struct Problem {
    /// Its kind.
    pub kind: ProblemKind,
    /// One line, without the resource's name.
    pub reason: Arc<str>,
}

mesh_core::debug_with_causes!(Problem);

impl Problem {
    /// A problem with a reason.
    pub fn new(kind: ProblemKind, reason: impl Into<Arc<str>>) -> Self {
        Self { kind, reason: reason.into() }
    }
}

/// The kind of a [`Problem`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ProblemKind {
    /// The client refused what the server sent.
    Rejected,
    /// The server does not have the resource, or did not send it in time.
    DoesNotExist,
    /// The server cannot be reached.
    Unreachable,
    /// The name's authority is not in the bootstrap.
    // TR-39
    UnknownAuthority,
    /// The server did not send the resource in time, and counts as slow.
    // TR-20
    TimedOut,
    /// The server answered that the resource does not exist, or is not for this client.
    // TR-30
    Withheld,
    /// The server answered that it cannot send the resource now.
    // TR-30
    Failed,
    /// The value is of an earlier run, and the server has not answered yet.
    Stale,
}

impl ProblemKind {
    /// Whether it is a data error, which removes the accepted resource if the bootstrap is configured so (TR-28, TR-29).
    pub(super) fn is_data_error(self) -> bool {
        matches!(self, Self::Rejected | Self::DoesNotExist | Self::Withheld)
    }
}

/// The server cannot be reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Outage {
    /// When the server was last connected, or when the client first tried.
    pub since: Instant,
    /// The last attempt's error.
    pub reason: Arc<str>,
    /// The server's URI.
    pub server: Name,
}

impl Outage {
    pub(super) fn problem(&self) -> Problem {
        Problem::new(ProblemKind::Unreachable, self.reason.clone())
    }
}
