//! What a balancer is told of endpoints.

use std::sync::Arc;
use std::sync::atomic::AtomicU32;

use crate::config::{EndpointAddresses, LocalityId, Name};

/// An endpoint's slot in its cluster: stable while the endpoint stays in the cluster, whatever moves around it, and
/// used again after it has left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EndpointId(pub u32);

/// What a balancer knows of an endpoint.
#[derive(Debug, Clone)]
pub struct LbEndpoint {
    /// Its slot.
    pub id: EndpointId,
    /// What identifies it across updates.
    pub addresses: EndpointAddresses,
    /// Its share, for policies that use weights; not zero.
    pub weight: u32,
    /// Its position on a hash ring; `None`: its first address.
    pub hash_key: Option<Name>,
    /// Counters that the request path writes and pickers read.
    pub load: Arc<EndpointLoad>,
}

/// Counters that the request path writes and pickers read.
#[derive(Debug, Default)]
pub struct EndpointLoad {
    /// Calls that have been sent and not ended.
    pub in_flight: AtomicU32,
}

/// The endpoints of one locality.
#[derive(Debug, Clone)]
pub struct LbLocality {
    /// Unique within a priority.
    pub id: LocalityId,
    /// Its share of the priority's calls; not zero.
    pub weight: u32,
    /// May be empty.
    pub endpoints: Vec<LbEndpoint>,
}

/// The endpoints of a cluster: localities by priority, highest first.
#[derive(Debug, Clone, Default)]
pub struct LbUpdate {
    /// Empty: the cluster has no endpoints and every pick fails.
    pub priorities: Vec<Vec<LbLocality>>,
    /// Added to the error of a pick that fails, for example why there are no endpoints (A74's resolution note).
    pub note: Option<Arc<str>>,
}
