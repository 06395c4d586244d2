//! Drives a balancer by hand: a clock that only moves when told, endpoints that do what the test says.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::HeaderMap;
use rand::SeedableRng;
use rand::rngs::StdRng;

use crate::config::{ClusterSettings, EndpointAddresses, LbPolicy, LocalityId, LocalityPolicy};
use crate::policy::lb::{
    Balancer, Command, Connectivity, EndpointId, EndpointLoad, LbEndpoint, LbLocality, LbPriority, LbUpdate,
    Pick, PickContext, Picker, balancer, distinct,
};

/// A balancer and what it has said so far.
pub(crate) struct Driver {
    pub(crate) balancer: Box<dyn Balancer>,
    pub(crate) now: Instant,
    pub(crate) rng: StdRng,
    pub(crate) state: Connectivity,
    /// How many pickers there were.
    pub(crate) pickers: usize,
    settings: Arc<ClusterSettings>,
    pub(crate) picker: Arc<dyn Picker>,
    loads: BTreeMap<u32, Arc<EndpointLoad>>,
}

/// An endpoint at `127.0.0.1:<id>`, of weight 1.
pub(crate) fn endpoint(id: u32) -> LbEndpoint {
    LbEndpoint {
        id: EndpointId(id),
        addresses: EndpointAddresses::from(SocketAddr::from(([127, 0, 0, 1], u16::try_from(id).unwrap()))),
        weight: 1,
        details: None,
        load: Arc::default(),
    }
}

pub(crate) fn locality(zone: &str, weight: u32, ids: &[u32]) -> LbLocality {
    let id = LocalityId { zone: zone.to_owned(), ..LocalityId::default() };
    LbLocality { id, weight, endpoints: ids.iter().map(|id| endpoint(*id)).collect() }
}

/// Of a cluster with this policy.
pub(crate) fn settings(cluster: &str, policy: &LbPolicy, localities: LocalityPolicy) -> Arc<ClusterSettings> {
    let (lb_policy, locality_policy) = (policy.clone(), localities);
    Arc::new(ClusterSettings { lb_policy, locality_policy, ..ClusterSettings::new(cluster) })
}

/// Gives a locality's first endpoints other weights.
pub(crate) fn weigh(locality: &mut LbLocality, weights: &[u32]) {
    let weights = weights.iter().copied().map(Some).chain(std::iter::repeat(None));
    let weighed = locality.endpoints.iter().zip(weights).map(|(endpoint, weight)| LbEndpoint {
        weight: weight.unwrap_or(endpoint.weight),
        ..endpoint.clone()
    });
    locality.endpoints = weighed.collect();
}

/// Priorities of one locality each: `z1`, `z2` and so on.
pub(crate) fn priorities(ids: &[&[u32]]) -> Vec<Vec<LbLocality>> {
    let zones = (1..).zip(ids).map(|(number, ids)| locality(&format!("z{number}"), 1, ids));
    zones.map(|zone| vec![zone]).collect()
}

impl Driver {
    pub(crate) fn new(policy: &LbPolicy, localities: LocalityPolicy) -> Self {
        let mut balancer = balancer();
        let (state, picker) = balancer.poll_picker().expect("there is a picker from the start");
        Self {
            balancer,
            now: Instant::now(),
            rng: StdRng::seed_from_u64(42),
            state,
            pickers: 1,
            settings: settings("test", policy, localities),
            picker,
            loads: BTreeMap::new(),
        }
    }

    pub(crate) fn round_robin() -> Self {
        Self::new(&LbPolicy::RoundRobin, LocalityPolicy::Weighted)
    }

    pub(crate) fn update(&mut self, priorities: Vec<Vec<LbLocality>>) -> Vec<Command> {
        self.update_noted(priorities, None)
    }

    /// Sets another policy, with these endpoints.
    pub(crate) fn change_policy(
        &mut self,
        policy: &LbPolicy,
        priorities: Vec<Vec<LbLocality>>,
    ) -> Vec<Command> {
        self.settings = settings("test", policy, self.settings.locality_policy);
        self.update(priorities)
    }

    pub(crate) fn update_noted(
        &mut self,
        priorities: Vec<Vec<LbLocality>>,
        note: Option<&str>,
    ) -> Vec<Command> {
        let settings = self.settings.clone();
        let priority = |localities| LbPriority::new(settings.clone(), localities);
        let priorities = priorities.into_iter().map(priority).collect();
        self.update_with(LbUpdate { priorities, note: note.map(Into::into) })
    }

    pub(crate) fn update_with(&mut self, mut update: LbUpdate) -> Vec<Command> {
        for locality in update.priorities.iter_mut().flat_map(|priority| &mut priority.localities) {
            let loaded =
                |endpoint: &LbEndpoint| LbEndpoint { load: self.load(endpoint.id.0), ..endpoint.clone() };
            locality.endpoints = locality.endpoints.iter().map(loaded).collect();
        }
        self.balancer.update(self.now, distinct(update), &mut self.rng);
        self.outputs()
    }

    pub(crate) fn load(&mut self, id: u32) -> Arc<EndpointLoad> {
        self.loads.entry(id).or_default().clone()
    }

    pub(crate) fn report(&mut self, id: u32, state: Connectivity) -> Vec<Command> {
        self.balancer.on_connectivity(self.now, EndpointId(id), state, &mut self.rng);
        self.outputs()
    }

    pub(crate) fn idle(&mut self, id: u32) -> Vec<Command> {
        self.report(id, Connectivity::Idle)
    }

    pub(crate) fn connecting(&mut self, id: u32) -> Vec<Command> {
        self.report(id, Connectivity::Connecting)
    }

    pub(crate) fn ready(&mut self, id: u32) -> Vec<Command> {
        self.report(id, Connectivity::Ready)
    }

    pub(crate) fn failed(&mut self, id: u32) -> Vec<Command> {
        self.report(id, Connectivity::TransientFailure(format!("{id} refused").into()))
    }

    pub(crate) fn exit_idle(&mut self) -> Vec<Command> {
        self.balancer.exit_idle(self.now, &mut self.rng);
        self.outputs()
    }

    /// Lets time pass, deadlines included.
    pub(crate) fn sleep(&mut self, time: Duration) -> Vec<Command> {
        let end = self.now + time;
        let mut commands = Vec::new();
        while let Some(deadline) = self.balancer.next_deadline().filter(|deadline| *deadline <= end) {
            self.now = deadline.max(self.now);
            self.balancer.on_deadline(self.now, &mut self.rng);
            commands.extend(self.outputs());
        }
        self.now = end;
        commands
    }

    pub(crate) fn pick(&mut self) -> Pick {
        self.pick_by(None)
    }

    pub(crate) fn pick_by(&mut self, hash: Option<u64>) -> Pick {
        let headers = HeaderMap::new();
        let context = PickContext { hash, ..PickContext::new("/pkg.Svc/Get", &headers) };
        self.picker.pick(&context, &mut self.rng)
    }

    /// The pick of a call with these values of a header.
    pub(crate) fn pick_with(&mut self, name: &'static str, values: &[&str]) -> Pick {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(name, value.parse().unwrap());
        }
        let context = PickContext::new("/pkg.Svc/Get", &headers);
        self.picker.pick(&context, &mut self.rng)
    }

    /// Which endpoints take calls, and how many of `calls`.
    pub(crate) fn shares(&mut self, calls: usize) -> BTreeMap<u32, usize> {
        let mut shares = BTreeMap::new();
        for _ in 0..calls {
            match self.pick() {
                Pick::Endpoint(id) => *shares.entry(id.0).or_default() += 1,
                other => panic!("no endpoint: {other:?}"),
            }
        }
        shares
    }

    /// Which endpoints take calls.
    pub(crate) fn users(&mut self) -> Vec<u32> {
        self.shares(100).into_keys().collect()
    }

    pub(crate) fn failure(&mut self) -> String {
        match self.pick() {
            Pick::Fail(reason) => reason.to_string(),
            other => panic!("not a failure: {other:?}"),
        }
    }

    /// The state as one letter: `I`, `C`, `R` or `F`.
    pub(crate) fn letter(&self) -> char {
        match self.state {
            Connectivity::Idle => 'I',
            Connectivity::Connecting => 'C',
            Connectivity::Ready => 'R',
            Connectivity::TransientFailure(_) => 'F',
        }
    }

    fn outputs(&mut self) -> Vec<Command> {
        let commands = std::iter::from_fn(|| self.balancer.poll_command()).collect();
        if let Some((state, picker)) = self.balancer.poll_picker() {
            (self.state, self.picker) = (state, picker);
            self.pickers += 1;
        }
        let now = self.balancer.connectivity();
        assert_eq!(format!("{now:?}"), format!("{:?}", self.state), "told without a picker");
        commands
    }
}

pub(crate) fn connect(ids: &[u32]) -> Vec<Command> {
    ids.iter().map(|id| Command::Connect(EndpointId(*id))).collect()
}

pub(crate) fn disconnect(ids: &[u32]) -> Vec<Command> {
    ids.iter().map(|id| Command::Disconnect(EndpointId(*id))).collect()
}

pub(crate) fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}
