//! A policy over a part of the endpoints (gRFC A68).

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use rand::Rng;
use twox_hash::XxHash64;

use crate::config::{LocalityId, SubsetMethod, Subsetting};
use crate::shared::SharedList;

use super::endpoint::IdMap;
use super::update::difference;
use super::{
    Balancer, Command, Connectivity, EndpointId, LbEndpoint, LbLocality, LbPriority, LbUpdate, Picker, leaf,
};

/// Lets another balancer see a part of the endpoints.
///
/// Each endpoint has a rank, the hash of its address. Others that come or go do not change it, so that a subset changes by as many
/// endpoints as the whole, and not at all when the same endpoints are listed again.
#[derive(Debug)]
pub(super) struct SubsetBalancer {
    settings: Subsetting,
    child: Box<dyn Balancer>,
    /// LB-48: random for each client; `None`: not drawn yet.
    seed: Option<u64>,
    localities: Vec<LbLocality>,
    /// All endpoints by rank.
    ranked: BTreeMap<Rank, Ranked>,
    ranks: IdMap<u64>,
    /// The endpoints of the subset.
    chosen: IdMap<()>,
    commands: VecDeque<Command>,
}

type Rank = (u64, EndpointId);

#[derive(Debug)]
struct Ranked {
    locality: LocalityId,
    endpoint: LbEndpoint,
}

impl SubsetBalancer {
    pub(super) fn new(settings: &Subsetting) -> Self {
        Self {
            settings: settings.clone(),
            child: leaf(&settings.policy),
            seed: None,
            localities: Vec::new(),
            ranked: BTreeMap::new(),
            ranks: IdMap::default(),
            chosen: IdMap::default(),
            commands: VecDeque::new(),
        }
    }

    /// Changes ranks by the difference between two lists of localities.
    fn follow(&mut self, localities: &[LbLocality], seed: u64) {
        for endpoint in difference(&self.localities, localities).removed {
            if let Some(hash) = self.ranks.remove(&endpoint.id) {
                self.ranked.remove(&(hash, endpoint.id));
            }
        }
        let nothing = SharedList::default();
        for locality in localities {
            let mut old = self.localities.iter();
            let before = old.find(|old| old.id == locality.id).map_or(&nothing, |old| &old.endpoints);
            for endpoint in SharedList::changes(before, &locality.endpoints).added {
                let address = endpoint.addresses.first().to_string();
                let rank = (XxHash64::oneshot(seed, address.as_bytes()), endpoint.id);
                if let Some(other) = self.ranks.insert(endpoint.id, rank.0) {
                    self.ranked.remove(&(other, endpoint.id));
                }
                let ranked = Ranked { locality: locality.id.clone(), endpoint: endpoint.clone() };
                self.ranked.insert(rank, ranked);
            }
        }
    }

    /// The subset, by locality.
    fn choose(&self, localities: &[LbLocality]) -> Vec<LbLocality> {
        let (size, count) = (self.settings.size.get() as usize, self.ranked.len());
        let start = match self.settings.method {
            SubsetMethod::Random => 0,
            SubsetMethod::Deterministic { client_index, client_count } => {
                let index = u64::from(client_index % client_count.get());
                (index * count as u64 / u64::from(client_count.get())) as usize
            }
        };
        let around = self.ranked.values().skip(start).chain(self.ranked.values().take(start));
        let mut chosen: BTreeMap<&LocalityId, Vec<LbEndpoint>> = BTreeMap::new();
        for Ranked { locality, endpoint } in around.take(size) {
            chosen.entry(locality).or_default().push(endpoint.clone());
        }
        let part = |locality: &LbLocality| {
            let endpoints = chosen.remove(&locality.id)?.into_iter().collect();
            Some(LbLocality { endpoints, ..locality.clone() })
        };
        localities.iter().filter_map(part).collect()
    }
}

impl Balancer for SubsetBalancer {
    fn update(&mut self, now: Instant, update: LbUpdate, rng: &mut dyn Rng) {
        let seed = *self.seed.get_or_insert_with(|| match self.settings.method {
            SubsetMethod::Random => rng.next_u64(),
            // The same order for every client.
            SubsetMethod::Deterministic { .. } => 0,
        });
        let LbUpdate { priorities, note } = update;
        let settings = priorities.first().map(|priority| priority.settings.clone());
        let localities = LbUpdate { priorities, note: None }.into_localities();
        self.follow(&localities, seed);
        let subset = self.choose(&localities);
        self.localities = localities;
        let ids = subset.iter().flat_map(|locality| &locality.endpoints).map(|endpoint| (endpoint.id, ()));
        let before = std::mem::replace(&mut self.chosen, ids.collect());
        let has_left = |id: &EndpointId| !self.chosen.contains_key(id) && self.ranks.contains_key(id);
        let left = before.into_keys().filter(has_left).map(Command::Disconnect);
        self.commands.extend(left);
        let priorities = settings.map(|settings| LbPriority::new(settings, subset)).into_iter().collect();
        self.child.update(now, LbUpdate { priorities, note }, rng);
    }

    fn on_connectivity(&mut self, now: Instant, id: EndpointId, state: Connectivity, rng: &mut dyn Rng) {
        if self.chosen.contains_key(&id) {
            return self.child.on_connectivity(now, id, state, rng);
        }
        // An endpoint that another policy connected before.
        if self.ranks.contains_key(&id) && !matches!(state, Connectivity::Idle) {
            self.commands.push_back(Command::Disconnect(id));
        }
    }

    fn exit_idle(&mut self, now: Instant, rng: &mut dyn Rng) {
        self.child.exit_idle(now, rng);
    }

    fn connectivity(&self) -> Connectivity {
        self.child.connectivity()
    }

    fn next_deadline(&self) -> Option<Instant> {
        self.child.next_deadline()
    }

    fn on_deadline(&mut self, now: Instant, rng: &mut dyn Rng) {
        self.child.on_deadline(now, rng);
    }

    fn poll_command(&mut self) -> Option<Command> {
        self.commands.pop_front().or_else(|| self.child.poll_command())
    }

    fn poll_picker(&mut self) -> Option<(Connectivity, Arc<dyn Picker>)> {
        self.child.poll_picker()
    }
}
