//! The protocol's settings, from the bootstrap and the application.

use std::collections::BTreeMap;
use std::time::Duration;

use mesh_core::config::Name;

use super::BackoffSettings;

/// The index of a server in [the status](crate::Status::servers).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ServerId(pub usize);

/// All servers, and the servers of each authority.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Settings {
    /// Each server once, also if it serves several authorities.
    // BS-23
    pub servers: Vec<ServerSettings>,
    /// For names without an authority.
    pub default_authority: AuthoritySettings,
    /// For `xdstp:` names, by authority; names of other authorities cannot be watched.
    // TR-39
    pub authorities: BTreeMap<Name, AuthoritySettings>,
}

#[cfg(test)]
impl Settings {
    /// One server for all names without an authority.
    pub(crate) fn one_server(server: ServerSettings) -> Self {
        Self {
            servers: vec![server],
            default_authority: AuthoritySettings::new([ServerId(0)]),
            authorities: BTreeMap::new(),
        }
    }
}

/// The servers of one authority.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AuthoritySettings {
    /// The preferred one first; a server that is listed again counts once.
    pub servers: Vec<ServerId>,
    /// When the next server is used.
    pub fallback: Fallback,
}

impl AuthoritySettings {
    /// These servers, with the usual fallback.
    pub(crate) fn new(servers: impl IntoIterator<Item = ServerId>) -> Self {
        Self { servers: servers.into_iter().collect(), fallback: Fallback::default() }
    }
}

/// When an authority uses its next server (gRFC A71).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Fallback {
    /// When the server cannot be reached and a watched resource is not cached (TR-42).
    #[default]
    WhenMissing,
    /// Whenever the server cannot be reached: `fallback_on_reachability_only` (BS-45).
    OnUnreachability,
    /// As [`WhenMissing`](Self::WhenMissing), and when the server could not be reached for as long, so that changes arrive.
    AfterOutage(Duration),
}

/// Settings of one server: the variant of the protocol, times, and the effect of its data errors.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ServerSettings {
    /// Its URI, for texts.
    pub name: Name,
    /// Which of the two protocols.
    pub variant: Variant,
    /// How long a resource may stay unanswered on a stream before it counts as absent.
    // TR-18
    pub resource_timeout: Duration,
    /// What the end of that time means.
    pub on_timeout: OnTimeout,
    /// How long a stream with subscriptions may stay without any response. `None`: for ever.
    pub silence_timeout: Option<Duration>,
    /// How long a stream on which no resource is missing may stay without any response before the server counts as
    /// connected: it has no changes. Longer than the detection of a dead connection takes.
    pub quiet_timeout: Duration,
    /// Waits between streams.
    pub backoff: BackoffSettings,
    /// What a rejected or deleted resource does to the accepted one.
    pub data_errors: DataErrors,
}

#[cfg(test)]
impl ServerSettings {
    /// State of the world, with every default.
    pub(crate) fn new(name: impl Into<Name>) -> Self {
        Self {
            name: name.into(),
            variant: Variant::default(),
            resource_timeout: Duration::from_secs(15),
            on_timeout: OnTimeout::default(),
            silence_timeout: Some(Duration::from_secs(60)),
            quiet_timeout: Duration::from_secs(15),
            backoff: BackoffSettings::default(),
            data_errors: DataErrors::default(),
        }
    }
}

impl ServerSettings {
    /// With all times bounded, so that they can be added to any clock time.
    pub(super) fn bounded(self) -> Self {
        Self {
            resource_timeout: bounded(self.resource_timeout),
            silence_timeout: self.silence_timeout.map(bounded),
            quiet_timeout: bounded(self.quiet_timeout),
            backoff: self.backoff.bounded(),
            ..self
        }
    }
}

/// A longer time means for ever; adding it could exceed the range of the clock.
pub(super) fn bounded(time: Duration) -> Duration {
    const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);
    time.min(YEAR)
}

/// The two ADS protocols.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Variant {
    /// State of the world: `StreamAggregatedResources`.
    #[default]
    Sotw,
    /// Incremental: `DeltaAggregatedResources`.
    // TR-48
    Delta,
}

/// What it means if a resource does not come in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum OnTimeout {
    /// The resource does not exist (TR-19).
    #[default]
    DoesNotExist,
    /// The server is slow: the feature `resource_timer_is_transient_error` (TR-20).
    Transient,
}

/// What happens to an accepted resource when the server then sends an invalid one, or deletes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum DataErrors {
    /// It stays in use, and the problem is reported beside it (TR-28, gRFC A88).
    #[default]
    Ambient,
    /// As [`Ambient`](Self::Ambient), but deletions are only logged: the server feature `ignore_resource_deletion`
    /// (TR-27, gRFC A53).
    IgnoreDeletion,
    /// It is removed: the server feature `fail_on_data_errors` (TR-29).
    Fail,
}
