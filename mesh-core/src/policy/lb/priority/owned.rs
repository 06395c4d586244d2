//! The priority of each endpoint.

use crate::config::EndpointAddresses;
use crate::policy::lb::endpoint::IdMap;
use crate::policy::lb::{Connectivity, EndpointId, LbEndpoint};

use super::names::ChildName;

/// The endpoints of a cluster, each with the priority that has it.
#[derive(Debug, Default)]
pub(super) struct Owned {
    endpoints: IdMap<Endpoint>,
    round: u64,
}

/// The state of an endpoint, for a balancer that gets it from another priority.
#[derive(Debug)]
pub(super) struct Endpoint {
    pub(super) owner: ChildName,
    pub(super) state: Connectivity,
    identity: EndpointAddresses,
    /// The last round that set its owner.
    owned: u64,
}

impl Owned {
    /// Starts an update. The caller then calls [`own`](Self::own) for all added endpoints before [`disown`](Self::disown) for
    /// removed ones.
    pub(super) fn begin_round(&mut self) {
        self.round += 1;
    }

    /// Sets the priority of a new or changed endpoint. It keeps its state, also if it comes from another priority.
    pub(super) fn own(&mut self, owner: ChildName, endpoint: &LbEndpoint) {
        let identity = endpoint.addresses.identity();
        let known = self.endpoints.remove(&endpoint.id).filter(|known| known.identity == identity);
        let state = known.map_or(Connectivity::Idle, |known| known.state);
        self.endpoints.insert(endpoint.id, Endpoint { owner, identity, state, owned: self.round });
    }

    /// An endpoint was removed from a priority. It is forgotten unless this round has set another owner.
    pub(super) fn disown(&mut self, owner: ChildName, id: EndpointId) {
        let is_gone = |known: &Endpoint| known.owner == owner && known.owned != self.round;
        if self.endpoints.get(&id).is_some_and(is_gone) {
            self.endpoints.remove(&id);
        }
    }

    pub(super) fn get(&self, id: EndpointId) -> Option<&Endpoint> {
        self.endpoints.get(&id)
    }

    pub(super) fn get_mut(&mut self, id: EndpointId) -> Option<&mut Endpoint> {
        self.endpoints.get_mut(&id)
    }

    pub(super) fn ids(&self) -> Vec<EndpointId> {
        self.endpoints.keys().copied().collect()
    }
}
