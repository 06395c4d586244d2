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

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;
    use crate::config::ClusterSettings;
    use crate::policy::lb::LbPriority;
    use crate::policy::lb::connectivity::Phase;
    use crate::policy::lb::priority::names::ChildNames;

    /// Names of two priorities.
    fn two_names() -> [ChildName; 2] {
        let settings = ["x", "y"].map(|cluster| ClusterSettings::new(cluster).into());
        let priorities = settings.map(|settings| LbPriority::new(settings, Vec::new()));
        ChildNames::default().assign(&priorities).try_into().unwrap()
    }

    fn endpoint(id: u32, port: u16) -> LbEndpoint {
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        LbEndpoint::new(EndpointId(id), EndpointAddresses::from(address))
    }

    #[test]
    fn endpoint_that_moves_keeps_its_state_and_is_forgotten_by_its_new_priority_only() {
        let [first, second] = two_names();
        let mut owned = Owned::default();
        let id = EndpointId(1);
        owned.begin_round();
        owned.own(first, &endpoint(1, 1));
        owned.get_mut(id).unwrap().state = Connectivity::Ready;
        owned.disown(first, id);
        assert!(owned.get(id).is_some(), "this round has set its owner");

        owned.begin_round();
        owned.own(second, &endpoint(1, 1));
        owned.disown(first, id);
        let moved = owned.get(id).unwrap();
        assert_eq!((moved.owner, moved.state.phase()), (second, Phase::Ready));

        owned.begin_round();
        owned.disown(first, id);
        assert_eq!(owned.ids(), [id], "it is not the first one's any more");
        owned.disown(second, id);
        assert_eq!(owned.ids(), []);
    }

    #[test]
    fn reused_id_of_other_addresses_starts_idle() {
        let [name, _] = two_names();
        let mut owned = Owned::default();
        for (port, phase) in [(1, Phase::Idle), (1, Phase::Ready), (2, Phase::Idle)] {
            owned.begin_round();
            owned.own(name, &endpoint(7, port));
            let known = owned.get_mut(EndpointId(7)).unwrap();
            assert_eq!(known.state.phase(), phase, "port {port}");
            known.state = Connectivity::Ready;
        }
    }
}
