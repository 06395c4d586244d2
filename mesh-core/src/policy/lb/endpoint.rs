//! The endpoints of an update.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;

use crate::config::{ClusterSettings, EndpointAddresses, EndpointDetails, LocalityId, Name};
use crate::shared::SharedList;

use super::EndpointLoad;

/// Identifies an endpoint within its cluster. It stays the same while the endpoint is in the cluster, and is reused after
/// the endpoint has been removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EndpointId(pub u32);

/// What a balancer knows of an endpoint.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct LbEndpoint {
    /// Its id: one for each [`identity`](EndpointAddresses::identity) of addresses.
    // LB-29
    pub id: EndpointId,
    /// What identifies it across updates.
    pub addresses: EndpointAddresses,
    /// Its share, for policies that use weights; not zero.
    pub weight: u32,
    /// What few endpoints have.
    pub details: Option<Arc<EndpointDetails>>,
    /// Counters that the request path writes and pickers read.
    pub load: Arc<EndpointLoad>,
}

impl LbEndpoint {
    /// An endpoint of weight 1 that no call has been sent to.
    pub fn new(id: EndpointId, addresses: EndpointAddresses) -> Self {
        Self { id, addresses, weight: 1, details: None, load: Arc::default() }
    }

    /// Its position on a hash ring; `None`: its first address.
    pub fn hash_key(&self) -> Option<&Name> {
        self.details.as_ref()?.hash_key.as_ref()
    }
}

impl PartialEq for LbEndpoint {
    /// Compares counters by identity, not by value.
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
            && Arc::ptr_eq(&self.load, &other.load)
            && self.weight == other.weight
            && self.addresses == other.addresses
            && self.details == other.details
    }
}

impl Eq for LbEndpoint {}

/// The endpoints of one locality.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct LbLocality {
    /// Unique within a priority.
    pub id: LocalityId,
    /// Its share of the priority's calls; not zero.
    pub weight: u32,
    /// May be empty. Shares unchanged parts with the last update, so that a comparison reads only the changed parts.
    pub endpoints: SharedList<LbEndpoint>,
}

impl LbLocality {
    /// A locality of these endpoints.
    pub fn new(id: LocalityId, weight: u32, endpoints: impl IntoIterator<Item = LbEndpoint>) -> Self {
        Self { id, weight, endpoints: endpoints.into_iter().collect() }
    }

    /// Whether both are the same, by a comparison that does not read endpoints.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.id == other.id && self.weight == other.weight && self.endpoints.is_same(&other.endpoints)
    }
}

/// The localities of one priority.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct LbPriority {
    /// The settings of its cluster. An aggregate has the priorities of its leaves, each with its leaf's settings.
    pub settings: Arc<ClusterSettings>,
    /// Each locality at most once.
    pub localities: Vec<LbLocality>,
    /// Whether the endpoints are known. Calls wait for them as for a connection; see [`Balancer::needs`].
    ///
    /// [`Balancer::needs`]: super::Balancer::needs
    pub is_discovered: bool,
}

/// The endpoints of a cluster: localities by priority, highest first. No endpoint is listed
/// twice: only the first priority and locality that have it keep it.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct LbUpdate {
    /// Empty: the cluster has no endpoints and every pick fails.
    pub priorities: Vec<LbPriority>,
    /// Added to the error of a pick that fails, for example why there are no endpoints (A74's resolution note).
    pub note: Option<Arc<str>>,
}

impl LbPriority {
    /// A priority whose endpoints are known.
    pub fn new(settings: Arc<ClusterSettings>, localities: Vec<LbLocality>) -> Self {
        Self { settings, localities, is_discovered: true }
    }
}

impl LbUpdate {
    /// These priorities, without a note.
    pub fn new(priorities: Vec<LbPriority>) -> Self {
        Self { priorities, note: None }
    }

    /// The localities of all priorities.
    pub fn into_localities(self) -> Vec<LbLocality> {
        self.priorities.into_iter().flat_map(|priority| priority.localities).collect()
    }
}

/// A map by endpoint id. Its hash has no random key: the driver assigns ids, and simulations have to repeat.
pub(super) type IdMap<T> = HashMap<EndpointId, T, BuildHasherDefault<IdHasher>>;

/// Spreads consecutive numbers over all bits.
#[derive(Debug, Default)]
pub(super) struct IdHasher(u64);

impl Hasher for IdHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u32(u32::from(*byte));
        }
    }

    fn write_u32(&mut self, number: u32) {
        self.0 = (self.0 ^ u64::from(number)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;

    /// Lists of endpoints compare them to find what an update has changed.
    #[test]
    fn endpoint_that_differs_in_one_field_is_another() {
        let addresses = |port| EndpointAddresses::from(SocketAddr::from(([10, 0, 0, 1], port)));
        let endpoint = LbEndpoint::new(EndpointId(1), addresses(1));
        assert_eq!(endpoint, endpoint.clone());
        let changes: [fn(&mut LbEndpoint); 4] = [
            |other| other.id = EndpointId(2),
            |other| other.weight = 2,
            |other| other.details = Some(Arc::default()),
            |other| other.load = Arc::default(),
        ];
        for (number, change) in changes.into_iter().enumerate() {
            let mut other = endpoint.clone();
            change(&mut other);
            assert_ne!(endpoint, other, "change {number}");
        }
        assert_ne!(endpoint, LbEndpoint { addresses: addresses(2), ..endpoint.clone() });
    }
    #[test]
    fn hashes_of_ids_and_of_bytes_differ() {
        let hash = |write: fn(&mut IdHasher)| {
            let mut hasher = IdHasher::default();
            write(&mut hasher);
            hasher.finish()
        };
        let hashes = [
            hash(|_| {}),
            hash(|hasher| hasher.write_u32(1)),
            hash(|hasher| hasher.write_u32(2)),
            hash(|hasher| hasher.write(&[1, 2])),
            hash(|hasher| hasher.write(&[2, 1])),
        ];
        let distinct: std::collections::BTreeSet<_> = hashes.into_iter().collect();
        assert_eq!(distinct.len(), hashes.len());
    }
}
