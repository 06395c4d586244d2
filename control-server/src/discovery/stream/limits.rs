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
    /// Resources that a client says it has, in one request.
    pub(in crate::discovery) held: usize,
    /// Bytes of the reason of a NACK.
    pub(in crate::discovery) reason_bytes: usize,
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
            held: 100_000,
            reason_bytes: 1 << 20,
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
    /// More names in one request than are allowed: subscribed, unsubscribed, or of resources that the client has.
    RequestNames { found: usize, limit: usize },
    /// A longer reason of a NACK than is allowed.
    Reason { found: usize, limit: usize },
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
            Self::RequestNames { found, limit } => write!(
                f,
                "a request with {found} names of one kind, at most {limit} are allowed; divide them among several requests"
            ),
            Self::Reason { found, limit } => {
                write!(f, "a refusal whose reason has {found} bytes, at most {limit} are allowed")
            }
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

/// The names of a request: it costs the server time in proportion.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Effort {
    /// All names in it.
    pub(super) asked: usize,
    /// The changes of the subscription.
    pub(super) changed: usize,
}

impl Effort {
    /// In requests with a few names.
    fn cost(self) -> u32 {
        let cost = self.changed / NAMES_CHANGED + self.asked / NAMES_REPEATED;
        u32::try_from(cost).unwrap_or(u32::MAX)
    }
}

/// The requests that a client has left.
#[derive(Debug)]
pub(super) struct Budget(Bucket);

impl Budget {
    pub(super) fn new(now: Instant, limits: &Limits) -> Self {
        Self(Bucket::new(now, limits.burst))
    }

    /// Counts a request; `None`: of a type that is not served.
    pub(super) fn spend(
        &mut self,
        now: Instant,
        outcome: Option<&Outcome>,
        effort: Effort,
        limits: &Limits,
    ) -> Result<(), Refusal> {
        let cost = match outcome {
            Some(Outcome::Acked { .. }) if effort.changed == 0 => 0,
            Some(Outcome::Nacked { .. }) => NACK_COST,
            Some(Outcome::Acked { .. } | Outcome::Stale | Outcome::Subscribed) | None => 1 + effort.cost(),
        };
        let Limits { burst, per_second, .. } = *limits;
        match self.0.spend(now, cost, burst, per_second.into()) {
            true => Ok(()),
            false => Err(Refusal::Requests { burst, per_second }),
        }
    }
}

/// So many changes of a subscription cost as much as one request.
const NAMES_CHANGED: usize = 100;
/// So many names that change nothing cost as much as one request.
const NAMES_REPEATED: usize = 10_000;
/// A NACK costs more than a change of the subscription.
const NACK_COST: u32 = 10;
