//! How an endpoint of a cluster is chosen.

use std::time::Duration;

use crate::kinds::mesh_policy::{Balancer, BalancerPolicy};
use crate::kinds::traffic_policy::{ConsistentHash, LoadBalancer, Simple, Warmup};

/// How an endpoint is chosen.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum LoadBalancing {
    RoundRobin {
        slow_start: Option<SlowStart>,
    },
    LeastRequest {
        slow_start: Option<SlowStart>,
    },
    Random,
    RingHash {
        min_size: u64,
    },
    Maglev {
        /// `None`: as clients have it.
        table_size: Option<u64>,
        /// Of the ring of clients without Maglev.
        min_ring_size: u64,
    },
    PeakEwma {
        /// `None`: as the client has it.
        decay: Option<Duration>,
        slow_start: Option<SlowStart>,
    },
    /// By the load that endpoints report.
    ReportedLoad {
        /// `None`: with the answers of calls.
        interval: Option<Duration>,
        slow_start: Option<SlowStart>,
    },
}

impl Default for LoadBalancing {
    fn default() -> Self {
        Self::RoundRobin { slow_start: None }
    }
}

/// How the share of an endpoint grows that has become ready.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct SlowStart {
    pub(crate) window: Duration,
    pub(crate) aggression: f64,
    pub(crate) min_weight_percent: f64,
}

/// What a call's hash is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum HashKey {
    /// The value of a header, whose name is in lower case.
    Header(String),
    /// The value of a cookie. With a lifetime, Envoy makes the cookie where a request has none.
    Cookie { name: String, path: String, lifetime: Option<Duration> },
    /// Who calls: the address, or the channel.
    Caller,
}

/// What one object says of how endpoints are chosen.
#[derive(Debug, Clone, Default)]
pub(super) struct Balancing {
    pub(super) policy: LoadBalancing,
    /// What a hash is made of, where the policy needs one.
    pub(super) hash_key: Option<HashKey>,
    pub(super) subset_size: Option<u32>,
}

impl Balancing {
    /// `None`: it speaks of localities only.
    pub(super) fn of_rule(lb: &LoadBalancer) -> Option<Self> {
        if let Some((hash, key)) =
            lb.consistent_hash.as_ref().and_then(|hash| Some((hash, HashKey::new(hash)?)))
        {
            let min_ring_size = hash.ring_size();
            let policy = match hash.maglev {
                Some(maglev) => LoadBalancing::Maglev { table_size: maglev.table_size, min_ring_size },
                None => LoadBalancing::RingHash { min_size: min_ring_size },
            };
            return Some(Self { policy, hash_key: Some(key), subset_size: None });
        }
        let slow_start = lb.warmup().as_ref().map(SlowStart::new);
        let policy = match lb.simple {
            Some(Simple::LeastRequest | Simple::LeastConn) => LoadBalancing::LeastRequest { slow_start },
            Some(Simple::Random) => LoadBalancing::Random,
            None if slow_start.is_none() && lb.consistent_hash.is_none() => return None,
            _ => LoadBalancing::RoundRobin { slow_start },
        };
        Some(Self { policy, hash_key: None, subset_size: None })
    }

    pub(super) fn of_settings(balancer: &Balancer) -> Self {
        let slow_start = balancer.warmup.as_ref().map(SlowStart::new);
        let policy = match balancer.policy {
            BalancerPolicy::RoundRobin => LoadBalancing::RoundRobin { slow_start },
            BalancerPolicy::LeastRequest => LoadBalancing::LeastRequest { slow_start },
            BalancerPolicy::Random => LoadBalancing::Random,
            BalancerPolicy::PeakEwma => {
                LoadBalancing::PeakEwma { decay: balancer.decay.map(|decay| decay.0), slow_start }
            }
            BalancerPolicy::ReportedLoad => {
                let interval = balancer.report_interval.map(|interval| interval.0);
                LoadBalancing::ReportedLoad { interval, slow_start }
            }
        };
        Self { policy, hash_key: None, subset_size: balancer.subset_size }
    }
}

impl HashKey {
    /// `None`: a key that no call has.
    fn new(hash: &ConsistentHash) -> Option<Self> {
        if let Some(header) = &hash.http_header_name {
            return Some(Self::Header(header.to_ascii_lowercase()));
        }
        if let Some(cookie) = &hash.http_cookie {
            return Some(Self::Cookie {
                name: cookie.name.clone(),
                path: cookie.path.clone(),
                lifetime: cookie.ttl.map(|ttl| ttl.0),
            });
        }
        (hash.use_source_ip == Some(true)).then_some(Self::Caller)
    }
}

impl SlowStart {
    fn new(warmup: &Warmup) -> Self {
        Self {
            window: warmup.duration.0,
            aggression: warmup.aggression.unwrap_or(1.0),
            min_weight_percent: warmup.minimum_percent.unwrap_or(10.0),
        }
    }
}
