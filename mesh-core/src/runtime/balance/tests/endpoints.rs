//! Ids, slots and updates for balancers, compared with what a look at everything gives.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::sync::Arc;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::accounting;
use super::network::Net;
use crate::config::{
    ClusterSettings, Endpoint, EndpointAddresses, EndpointSet, HealthStatus, Locality, LocalityId, Name,
    Priority,
};
use crate::policy::lb::{EndpointId, LbEndpoint, LbUpdate};
use crate::runtime::balance::endpoints::Endpoints;
use crate::runtime::balance::leaf::LeafId;
use crate::runtime::balance::listing::Listing;

/// Where a call could go: zone, addresses, host name, weight.
type Shown = (String, EndpointAddresses, Name, u32);

fn endpoint(port: u16) -> Endpoint {
    Endpoint::new(SocketAddr::from(([10, 0, 0, 1], port)))
}

fn random_endpoint(rng: &mut StdRng) -> Endpoint {
    let address = |port: u16| SocketAddr::from(([10, 0, 0, 1], port));
    let port = rng.random_range(1..400);
    let pair = [address(port), address(port + 1_000)];
    let addresses = match rng.random_range(0..10) {
        0 => EndpointAddresses::new(pair[0], [pair[1]]),
        1 => EndpointAddresses::new(pair[1], [pair[0]]),
        _ => EndpointAddresses::from(pair[0]),
    };
    let health = if rng.random_bool(0.1) { HealthStatus::Draining } else { HealthStatus::Healthy };
    let weight = NonZeroU32::MIN.saturating_add(rng.random_range(0..3));
    let hostname = format!("host-{}", rng.random_range(0..3)).into();
    Endpoint { addresses, health, weight, hostname, ..endpoint(1) }
}

/// Changes a few members, or what localities there are.
fn disturb(set: &mut EndpointSet, rng: &mut StdRng) {
    if set.priorities.is_empty() || rng.random_bool(0.1) {
        let zones = rng.random_range(1..4);
        let locality = |zone: u32| {
            let id = LocalityId { zone: zone.to_string(), ..LocalityId::default() };
            Arc::new(Locality { id, ..Locality::of(Vec::new()) })
        };
        let priority = Priority { localities: (0..zones).map(locality).collect() };
        set.priorities.insert(rng.random_range(0..=set.priorities.len()), priority);
        set.priorities.truncate(3);
    }
    let localities: Vec<(usize, usize)> = (0..)
        .zip(&set.priorities)
        .flat_map(|(at, priority)| (0..priority.localities.len()).map(move |locality| (at, locality)))
        .collect();
    let (priority, at) = localities[rng.random_range(0..localities.len())];
    let other = localities[rng.random_range(0..localities.len())];
    match rng.random_range(0..12) {
        0 => {
            set.priorities[priority].localities.remove(at);
            set.priorities.retain(|priority| !priority.localities.is_empty());
        }
        1 => set.priorities.reverse(),
        2 => set.priorities[priority].localities.reverse(),
        3 => {
            // the same endpoints in another locality, or in two
            let endpoints = set.priorities[priority].localities[at].endpoints.clone();
            Arc::make_mut(&mut set.priorities[other.0].localities[other.1]).endpoints = endpoints;
        }
        4 => {
            // nothing is shared any more
            let locality = Arc::make_mut(&mut set.priorities[priority].localities[at]);
            locality.endpoints = locality.endpoints.iter().cloned().collect();
        }
        _ => {
            let locality = Arc::make_mut(&mut set.priorities[priority].localities[at]);
            for _ in 0..rng.random_range(1..40) {
                let name = format!("{:03}", rng.random_range(0..300)).into();
                let endpoint = rng.random_bool(0.7).then(|| random_endpoint(rng));
                locality.endpoints = locality.endpoints.with(&name, endpoint);
            }
        }
    }
}

/// What there is to be seen: each endpoint once, where it is first (LB-29).
fn expected(set: &EndpointSet) -> Vec<Shown> {
    let mut seen = BTreeSet::new();
    let localities = set.priorities.iter().flat_map(|priority| &priority.localities);
    let endpoints = localities
        .flat_map(|locality| locality.endpoints.iter().map(|endpoint| (&locality.id.zone, endpoint)));
    endpoints
        .filter(|(_, endpoint)| endpoint.health != HealthStatus::Draining)
        .filter(|(_, endpoint)| seen.insert(endpoint.addresses.identity()))
        .map(|(zone, endpoint)| {
            let Endpoint { addresses, hostname, weight, .. } = endpoint;
            (zone.clone(), addresses.clone(), hostname.clone(), weight.get())
        })
        .collect()
}

fn told(listing: &Listing) -> Vec<LbEndpoint> {
    let priorities = listing.priorities(&Arc::new(ClusterSettings::new("test")));
    let localities = LbUpdate { priorities, note: None }.into_localities();
    localities.iter().flat_map(|locality| locality.endpoints.iter().cloned()).collect()
}

/// LB-29, EDS-11: whatever changes, balancers and calls see each endpoint once and as it is now, and one that stays keeps
/// its id.
#[test]
fn endpoints_after_updates_equal_those_of_a_full_translation() {
    for seed in 0..40 {
        println!("seed {seed}");
        let mut rng = StdRng::seed_from_u64(seed);
        let mut set = EndpointSet::default();
        let mut endpoints = Endpoints::<Net>::new(Arc::default());
        let mut listing = Listing::new(LeafId(0), accounting());
        let mut ids: BTreeMap<EndpointAddresses, EndpointId> = BTreeMap::new();
        for _ in 0..60 {
            (0..rng.random_range(1..4)).for_each(|_| disturb(&mut set, &mut rng));
            endpoints.update(&mut listing, &set);
            let told = told(&listing);
            let expected = expected(&set);
            let (slots, of_told) = (endpoints.slots(), |endpoint: &LbEndpoint| endpoint.id.0 as usize);
            let seen: Vec<Shown> = told
                .iter()
                .map(|told| {
                    let slot =
                        slots.get(of_told(told)).and_then(Option::as_ref).expect("an endpoint has a slot");
                    assert!(Arc::ptr_eq(&slot.load, &told.load));
                    assert_eq!(slot.addresses, told.addresses);
                    (slot.locality.zone.clone(), slot.addresses.clone(), slot.hostname.clone(), told.weight)
                })
                .collect();
            assert_eq!(seen, expected);
            assert_eq!(slots.iter().flatten().count(), told.len(), "nothing else is to be seen");
            let now: BTreeMap<_, _> = told.iter().map(|told| (told.addresses.identity(), told.id)).collect();
            assert_eq!(now.values().collect::<BTreeSet<_>>().len(), told.len(), "ids are different");
            assert!(now.iter().all(|(identity, id)| ids.get(identity).is_none_or(|before| before == id)));
            ids = now;
            if rng.random_bool(0.7) {
                endpoints.sweep(&mut listing);
            }
        }
        endpoints.update(&mut listing, &EndpointSet::default());
        endpoints.sweep(&mut listing);
        assert_eq!(endpoints.count(), 0);
    }
}
