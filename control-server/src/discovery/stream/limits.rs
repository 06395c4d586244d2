//! Limits of one stream's requests (SEC-16).

use std::fmt;
use std::time::{Duration, Instant};

use super::exchange::Outcome;
use crate::bucket::Bucket;
use crate::resources::ResourceKind;

/// How much a client may request. A stream beyond a limit is ended with a status that names the limit.
#[derive(Debug, Clone, Copy)]
pub(in crate::discovery) struct Limits {
    /// Subscribed names of one type.
    pub(in crate::discovery) names: usize,
    /// Bytes of all subscribed names together.
    pub(in crate::discovery) name_bytes: usize,
    /// Bytes of the node, which is kept as long as the stream.
    pub(in crate::discovery) node_bytes: usize,
    /// The burst of requests other than ACKs: ACKs are free.
    pub(in crate::discovery) burst: u32,
    /// How many more of them every second.
    pub(in crate::discovery) per_second: u32,
    /// How long a stream may take to send its first request.
    pub(in crate::discovery) first_request: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            names: 50_000,
            name_bytes: 8 << 20,
            node_bytes: 64 << 10,
            burst: 5000,
            per_second: 50,
            first_request: Duration::from_secs(30),
        }
    }
}

/// Why a stream is ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::discovery) enum Refusal {
    /// More names of a type than are allowed.
    Names { kind: ResourceKind, found: usize, limit: usize },
    /// Longer names than are allowed, together.
    NameBytes { found: usize, limit: usize },
    /// A larger node than is allowed.
    Node { found: usize, limit: usize },
    /// Too many requests other than ACKs, NACKs among them.
    Requests { burst: u32, per_second: u32 },
    /// No request at all.
    Silent { limit: Duration },
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Names { kind, found, limit } => write!(
                f,
                "{found} names of type {} are subscribed, at most {limit} per type and stream are allowed; \
                 divide them among several clients, or subscribe to the wildcard",
                kind.type_url()
            ),
            Self::NameBytes { found, limit } => write!(
                f,
                "the subscribed names have {found} bytes together, at most {limit} per stream are allowed; divide \
                 them among several clients"
            ),
            Self::Node { found, limit } => write!(
                f,
                "the node of the first request has {found} bytes, at most {limit} are allowed; shorten its metadata and \
                 client features"
            ),
            Self::Requests { burst, per_second } => write!(
                f,
                "too many requests that are more than ACKs: {burst} at once and {per_second} every second are allowed, \
                 a NACK counts as {NACK_COST}; subscribe to several names with one request"
            ),
            Self::Silent { limit } => {
                write!(f, "no request within {} s of the stream's beginning", limit.as_secs())
            }
        }
    }
}

/// The requests that a client has left.
#[derive(Debug)]
pub(super) struct Budget(Bucket);

impl Budget {
    pub(super) fn new(now: Instant, limits: &Limits) -> Self {
        Self(Bucket::new(now, limits.burst))
    }

    /// Counts a request; `None`: of a type that is not served. `is_silent`: it changes no subscription.
    pub(super) fn spend(
        &mut self,
        now: Instant,
        outcome: Option<&Outcome>,
        is_silent: bool,
        limits: &Limits,
    ) -> Result<(), Refusal> {
        let cost = match outcome {
            Some(Outcome::Acked { .. }) if is_silent => 0,
            Some(Outcome::Nacked { .. }) => NACK_COST,
            Some(Outcome::Acked { .. } | Outcome::Stale | Outcome::Subscribed) | None => 1,
        };
        let Limits { burst, per_second, .. } = *limits;
        match self.0.spend(now, cost, burst, per_second.into()) {
            true => Ok(()),
            false => Err(Refusal::Requests { burst, per_second }),
        }
    }
}

/// A NACK costs more than a change of the subscription.
const NACK_COST: u32 = 10;
