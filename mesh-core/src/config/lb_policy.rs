//! How one endpoint of a cluster is chosen.

use crate::policy::lb::CustomPolicy;

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
    /// The least busy of `choice_count` random endpoints (gRFC A48).
    LeastRequest {
        /// How many are compared: 2 to 10.
        choice_count: u32,
    },
    /// Consistent hashing over a ring (gRFC A42).
    RingHash(RingHash),
    /// A policy of a user.
    Custom(CustomPolicy),
}

impl LbPolicy {
    /// Whether its pickers read how many calls an endpoint has in flight.
    pub(crate) fn reads_in_flight(&self) -> bool {
        match self {
            Self::LeastRequest { .. } | Self::Custom(_) => true,
            Self::PickFirst { .. } | Self::RoundRobin | Self::RingHash(_) => false,
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
