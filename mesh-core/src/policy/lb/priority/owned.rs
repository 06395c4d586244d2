//! Which priority has an endpoint.

use crate::config::EndpointAddresses;
use crate::policy::lb::id_map::IdMap;
use crate::policy::lb::{Connectivity, EndpointId, LbEndpoint};

use super::names::ChildName;

/// The endpoints of a cluster, each with the priority that has it.
#[derive(Debug, Default)]
pub(super) struct Owned {
    endpoints: IdMap<Endpoint>,
    round: u64,
}

/// What is told to a balancer that gets an endpoint which is not new to the cluster.
#[derive(Debug)]
pub(super) struct Endpoint {
    pub(super) owner: ChildName,
    pub(super) state: Connectivity,
    identity: EndpointAddresses,
    /// The round that has named its owner last.
    owned: u64,
}

impl Owned {
    /// Before an update: everything that it adds is owned before anything that it removes is disowned.
    pub(super) fn begin_round(&mut self) {
        self.round += 1;
    }

    /// An endpoint is new to a priority, or different. It keeps its state wherever it comes from.
    pub(super) fn own(&mut self, owner: ChildName, endpoint: &LbEndpoint) {
        let identity = endpoint.addresses.identity();
        let known = self.endpoints.remove(&endpoint.id).filter(|known| known.identity == identity);
        let state = known.map_or(Connectivity::Idle, |known| known.state);
        self.endpoints.insert(endpoint.id, Endpoint { owner, identity, state, owned: self.round });
    }

    /// A priority has lost an endpoint. It is forgotten unless this round has given it an owner.
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
