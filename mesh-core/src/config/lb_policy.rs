//! How one endpoint of a cluster is chosen.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderName;

use crate::policy::lb::CustomPolicy;

use super::{ReportedWeights, SlowStart, WeightSource, WeightedLeastRequest, WeightedRoundRobin};

/// How one endpoint of a cluster is chosen, below priorities and localities.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum LbPolicy {
    /// The first address that connects takes every call (gRFC A61, A62).
    PickFirst {
        /// Shuffle the endpoints once per update.
        shuffle: bool,
    },
    /// In turn over the ready endpoints of a locality (gRFC A27).
    ///
    /// Threads do not share a position: each of up to eight groups of threads goes in turn by itself, so two endpoints differ by
    /// at most one call per group.
    RoundRobin,
    /// In turn over the ready endpoints, heavier ones more often (gRFC A58, Envoy's `ROUND_ROBIN`).
    WeightedRoundRobin(WeightedRoundRobin),
    /// The least busy of `choice_count` random endpoints; weights do not count (gRFC A48).
    LeastRequest {
        /// How many are compared: 2 to 10.
        choice_count: u32,
    },
    /// The least busy endpoint for its weight (Envoy's `LEAST_REQUEST`).
    WeightedLeastRequest(WeightedLeastRequest),
    /// Of two random endpoints the one with the lower expected latency (peak EWMA).
    PeakEwma(PeakEwma),
    /// A random ready endpoint; weights do not count (Envoy's `RANDOM`).
    Random,
    /// Consistent hashing over a ring (gRFC A42).
    RingHash(RingHash),
    /// Consistent hashing over a table of fixed size (Envoy's `MAGLEV`): a pick costs less than on a ring, and shares are more even.
    Maglev(Maglev),
    /// Another policy over a part of the endpoints, so that each client is connected to few of many (gRFC A68).
    Subsetting(Subsetting),
    /// A policy of a user.
    Custom(CustomPolicy),
}

impl LbPolicy {
    /// Whether its pickers read how many calls an endpoint has in flight.
    pub(crate) fn reads_in_flight(&self) -> bool {
        match self.innermost() {
            Self::LeastRequest { .. }
            | Self::WeightedLeastRequest(_)
            | Self::PeakEwma(_)
            | Self::Custom(_) => true,
            Self::PickFirst { .. }
            | Self::RoundRobin
            | Self::WeightedRoundRobin(_)
            | Self::Random
            | Self::RingHash(_)
            | Self::Maglev(_)
            | Self::Subsetting(_) => false,
        }
    }

    /// Whether its pickers read the hash of a call.
    pub(crate) fn reads_hash(&self) -> bool {
        match self.innermost() {
            Self::RingHash(ring) => ring.request_hash_header.is_none(),
            Self::Maglev(_) => true,
            _ => false,
        }
    }

    /// The policy that chooses among the endpoints of a subset.
    pub(crate) fn innermost(&self) -> &Self {
        match self {
            Self::Subsetting(subsetting) => subsetting.policy.innermost(),
            policy => policy,
        }
    }

    /// How the latency of calls is averaged; `None`: no policy needs it.
    pub(crate) fn latency_decay(&self) -> Option<Duration> {
        match self.innermost() {
            Self::PeakEwma(settings) => Some(settings.decay),
            _ => None,
        }
    }

    /// How weights are computed from the reports of endpoints; `None`: no policy needs reports.
    pub(crate) fn reported_weights(&self) -> Option<&ReportedWeights> {
        match self.innermost() {
            Self::WeightedRoundRobin(WeightedRoundRobin {
                weights: WeightSource::Reported(reported),
                ..
            }) => Some(reported),
            _ => None,
        }
    }
}

/// Settings of [`LbPolicy::RingHash`] (gRFC A42, A76).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RingHash {
    /// At least this many entries.
    pub min_size: u64,
    /// At most this many entries.
    pub max_size: u64,
    /// Calls are hashed by this header, whatever their route says. A call without it goes to a random endpoint that is connected.
    /// `None`: calls are hashed by their route's hash policies.
    // LB-41
    pub request_hash_header: Option<HeaderName>,
}

impl RingHash {
    /// A ring of such a size, for calls that are hashed by their route's policies.
    pub const fn new(min_size: u64, max_size: u64) -> Self {
        Self { min_size, max_size, request_hash_header: None }
    }

    /// With calls that are hashed by this header.
    #[must_use]
    pub fn with_request_hash_header(self, header: HeaderName) -> Self {
        Self { request_hash_header: Some(header), ..self }
    }
}

/// The size of a Maglev table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Maglev {
    /// The number of slots: a prime number, by default 65,537. With many more slots than endpoints the shares are even.
    pub table_size: u64,
}

impl Default for Maglev {
    fn default() -> Self {
        Self { table_size: 65_537 }
    }
}

/// Settings of [`LbPolicy::PeakEwma`].
///
/// An endpoint's latency is a moving average of the time to the head of a response; a call that took longer counts at once. Each
/// failure doubles it, up to a thousand times; that fades within [`decay`](Self::decay). With `retry-after` or
/// `grpc-retry-pushback-ms` the latency is so much higher that it has faded when that time is over. INVALID_ARGUMENT and the like are
/// no failures of the endpoint; RESOURCE_EXHAUSTED is.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct PeakEwma {
    /// In this time an old value falls to 1/e: 10 s. At least 100 ms.
    pub decay: Duration,
    /// How the share of a new endpoint grows; `None`: it takes calls like the others at once.
    pub slow_start: Option<SlowStart>,
}

impl Default for PeakEwma {
    fn default() -> Self {
        Self { decay: Duration::from_secs(10), slow_start: None }
    }
}

/// Settings of [`LbPolicy::Subsetting`].
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Subsetting {
    /// How many endpoints of a locality are used; if there are fewer, all. With
    /// [`LocalityPolicy::Flat`](super::LocalityPolicy::Flat): of a priority.
    pub size: NonZeroU32,
    /// Which ones.
    pub method: SubsetMethod,
    /// How one of them is chosen.
    pub policy: Arc<LbPolicy>,
}

impl Subsetting {
    /// So many endpoints, chosen by each client at random.
    pub fn random(size: NonZeroU32, policy: LbPolicy) -> Self {
        Self { size, method: SubsetMethod::Random, policy: Arc::new(policy) }
    }

    /// With the endpoints chosen like this.
    #[must_use]
    pub fn with_method(self, method: SubsetMethod) -> Self {
        Self { method, ..self }
    }
}

/// How the endpoints of a subset are chosen. An endpoint that comes or goes changes at most two of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum SubsetMethod {
    /// Each client draws its own: over many clients the endpoints have about the same number of them (gRFC A68).
    Random,
    /// Clients have numbers, and divide the endpoints evenly: with the same endpoints, the numbers of clients of two endpoints differ by
    /// at most two.
    Deterministic {
        /// The client's number, from 0.
        client_index: u32,
        /// How many clients there are.
        client_count: NonZeroU32,
    },
}
