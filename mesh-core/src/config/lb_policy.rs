//! How one endpoint of a cluster is chosen.

use crate::policy::lb::CustomPolicy;

use super::{ReportedWeights, WeightSource, WeightedLeastRequest, WeightedRoundRobin};

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
    /// A random ready endpoint; weights do not count (Envoy's `RANDOM`).
    Random,
    /// Consistent hashing over a ring (gRFC A42).
    RingHash(RingHash),
    /// Consistent hashing over a table of fixed size (Envoy's `MAGLEV`): a pick costs less than on a ring, and shares are more even.
    Maglev(Maglev),
    /// A policy of a user.
    Custom(CustomPolicy),
}

impl LbPolicy {
    /// Whether its pickers read how many calls an endpoint has in flight.
    pub(crate) fn reads_in_flight(&self) -> bool {
        match self {
            Self::LeastRequest { .. } | Self::WeightedLeastRequest(_) | Self::Custom(_) => true,
            Self::PickFirst { .. }
            | Self::RoundRobin
            | Self::WeightedRoundRobin(_)
            | Self::Random
            | Self::RingHash(_)
            | Self::Maglev(_) => false,
        }
    }

    /// How weights are computed from the reports of endpoints; `None`: no policy needs reports.
    pub(crate) fn reported_weights(&self) -> Option<&ReportedWeights> {
        match self {
            Self::WeightedRoundRobin(WeightedRoundRobin {
                weights: WeightSource::Reported(reported),
                ..
            }) => Some(reported),
            _ => None,
        }
    }
}

/// The size of a hash ring (gRFC A42).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RingHash {
    /// At least this many entries.
    pub min_size: u64,
    /// At most this many entries.
    pub max_size: u64,
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
