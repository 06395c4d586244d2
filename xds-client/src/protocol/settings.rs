//! What a server's bootstrap entry and the application ask of the protocol.

use std::collections::BTreeSet;
use std::time::Duration;

use mesh_core::config::Name;

use super::BackoffPolicy;

/// How one server's resources are treated.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// How long a resource may be asked for on a stream before it counts as absent (TR-18).
    pub resource_timeout: Duration,
    /// Waits between streams.
    pub backoff: BackoffPolicy,
    /// What a rejected or deleted resource does to the accepted one.
    pub data_errors: DataErrors,
    /// Authorities of `xdstp:` names that may be asked for (TR-39).
    pub authorities: BTreeSet<Name>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            resource_timeout: Duration::from_secs(15),
            backoff: BackoffPolicy::default(),
            data_errors: DataErrors::default(),
            authorities: BTreeSet::new(),
        }
    }
}

/// What happens to an accepted resource when the server then sends an invalid one, or deletes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DataErrors {
    /// It stays in use, and the trouble is told beside it (TR-28, gRFC A88).
    #[default]
    Ambient,
    /// As [`Ambient`](Self::Ambient), but deletions are only logged: the server feature `ignore_resource_deletion`
    /// (TR-27, gRFC A53).
    IgnoreDeletion,
    /// It is dropped: the server feature `fail_on_data_errors` (TR-29).
    Fail,
}
