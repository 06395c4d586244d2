//! Settings of a client.

use std::path::PathBuf;
use std::time::Duration;

use crate::protocol::BackoffSettings;
use crate::resource::{CertificateProviders, FilterRegistry, LbPolicyRegistry, MAX_REGEX_SIZE};

/// Settings of a client; the defaults are good for production. Times of the protocol over a year count as a year.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Options {
    /// How long a resource may be unanswered on a connected stream before it counts as absent. 15 s.
    pub resource_timeout: Duration,
    /// The same for a server with the feature `resource_timer_is_transient_error`, where its end does not mean that the
    /// resource is absent. 30 s.
    pub transient_resource_timeout: Duration,
    /// How long a stream with a subscription may stay without any response before the server counts as
    /// lost, although it is connected. 60 s; `None`: for ever.
    pub silence_timeout: Option<Duration>,
    /// How long a server may be out of reach before the next one of the bootstrap is asked although nothing is missing, so that
    /// changes arrive. `None`, the default, as in gRPC (A71): never. A server that is back is used again. Not much shorter
    /// than a restart of the server takes: clients that turn to another one and back ask each for everything.
    pub next_server_after: Option<Duration>,
    /// Waits between streams that fail: 1 s, times 1.6 each time, at most 120 s, ±20 %.
    pub backoff: BackoffSettings,
    /// The largest response taken, in bytes. 64 MiB. A larger one ends the stream, with an error and backoff; what
    /// was accepted before stays in use.
    pub max_message_size: usize,
    /// The largest single resource taken, in bytes. 64 MiB. A larger one is refused, and what was accepted before stays
    /// in use.
    pub max_resource_size: usize,
    /// What the compiled regular expressions of one resource may take together, in bytes. 16 MiB, which is enough for
    /// 10,000 ordinary ones. A resource whose expressions take more is refused, and what was accepted before stays in
    /// use.
    pub max_regex_size: usize,
    /// The file that keeps the resources in use, for a start without a control server; `None`, the default: no file. Written
    /// a second after something new was accepted, and when the client ends: a process that lives for less than a second
    /// leaves one too, unless it is killed. A file is for one process at a time; one that is damaged is ignored,
    /// with a warning. Resources of unreachable servers, and of targets that have not been watched since the start, stay in
    /// it until they have not been watched for 30 days.
    ///
    /// At the next start it is used where a control server cannot be reached, or has never answered when
    /// [`snapshot_grace`](Self::snapshot_grace) is over, and reported as [stale](crate::Status::stale) until it is replaced.
    pub snapshot: Option<PathBuf>,
    /// How long the control servers have to answer before the snapshot of an earlier run is used. 300 ms. Counted once
    /// for the whole client, from its first attempt to reach any of them: a server that is used for the first time
    /// later has no time of its own.
    pub snapshot_grace: Duration,
    /// How long a connection, TLS included, may take. 20 s.
    pub connect_timeout: Duration,
    /// How often a connection is probed. 20 s. Servers other than ours may have to be configured to allow it.
    pub keepalive_interval: Duration,
    /// How long a probe may stay without an answer before the connection counts as lost. 20 s.
    pub keepalive_timeout: Duration,
    /// The HTTP filters that listeners and routes may configure. By default those of this library; add your own with
    /// [`FilterRegistry::with`].
    pub filters: FilterRegistry,
    /// The load-balancing policies that clusters may name beside those of this library. None by default; add your own with
    /// [`LbPolicyRegistry::with`].
    pub lb_policies: LbPolicyRegistry,
    /// Certificate providers of the program's own, by the instance names that resources use. They replace those of the
    /// bootstrap. None by default.
    pub certificate_providers: CertificateProviders,
    /// Makes the jitter repeatable, for tests.
    pub rng_seed: Option<u64>,
}

impl Options {
    /// The defaults, with the [`snapshot`](Self::snapshot) that the variable `MESH_XDS_SNAPSHOT` names; an empty one counts
    /// as unset. The client that a process [shares](crate::shared) is started with these.
    pub fn from_env() -> Self {
        let snapshot = std::env::var_os(SNAPSHOT_VARIABLE).filter(|path| !path.is_empty());
        Self { snapshot: snapshot.map(PathBuf::from), ..Self::default() }
    }

    /// With these waits between streams that fail.
    #[must_use]
    pub fn with_backoff(self, backoff: BackoffSettings) -> Self {
        Self { backoff, ..self }
    }

    /// With a [`snapshot`](Self::snapshot) in this file.
    #[must_use]
    pub fn with_snapshot(self, file: impl Into<PathBuf>) -> Self {
        Self { snapshot: Some(file.into()), ..self }
    }

    /// With these HTTP filters.
    #[must_use]
    pub fn with_filters(self, filters: FilterRegistry) -> Self {
        Self { filters, ..self }
    }

    /// With these load-balancing policies.
    #[must_use]
    pub fn with_lb_policies(self, lb_policies: LbPolicyRegistry) -> Self {
        Self { lb_policies, ..self }
    }

    /// With these certificate providers.
    #[must_use]
    pub fn with_certificate_providers(self, providers: CertificateProviders) -> Self {
        Self { certificate_providers: providers, ..self }
    }

    /// With jitter that this seed repeats.
    #[must_use]
    pub fn with_rng_seed(self, seed: u64) -> Self {
        Self { rng_seed: Some(seed), ..self }
    }
}

const SNAPSHOT_VARIABLE: &str = "MESH_XDS_SNAPSHOT";

impl Default for Options {
    fn default() -> Self {
        Self {
            resource_timeout: Duration::from_secs(15),
            transient_resource_timeout: Duration::from_secs(30),
            silence_timeout: Some(Duration::from_secs(60)),
            next_server_after: None,
            backoff: BackoffSettings::default(),
            max_message_size: 64 << 20,
            max_resource_size: 64 << 20,
            max_regex_size: MAX_REGEX_SIZE,
            snapshot: None,
            snapshot_grace: Duration::from_millis(300),
            connect_timeout: Duration::from_secs(20),
            keepalive_interval: Duration::from_secs(20),
            keepalive_timeout: Duration::from_secs(20),
            filters: FilterRegistry::default(),
            lb_policies: LbPolicyRegistry::default(),
            certificate_providers: CertificateProviders::default(),
            rng_seed: None,
        }
    }
}
