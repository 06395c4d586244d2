//! Endpoints that come, go, fail and hang, on virtual time.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::config::{LbPolicy, LocalityPolicy, RingHash};
use crate::policy::lb::{Command, Connectivity, LbPriority, LbUpdate, Pick};

use super::driver::{Driver, locality, settings};

/// What an endpoint does with an attempt to connect.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Behaviour {
    Accepts,
    Refuses,
    Hangs,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Phase {
    Idle,
    Connecting,
    Ready,
    BackingOff { is_wanted: bool },
}

/// The world outside of a balancer: endpoints, their subchannels, and what is configured.
struct World {
    driver: Driver,
    rng: StdRng,
    behaviours: BTreeMap<u32, Behaviour>,
    subchannels: BTreeMap<u32, (Phase, Option<Instant>)>,
    /// What a leaf's policy may be; each update draws one.
    policies: Vec<(LbPolicy, LocalityPolicy)>,
    /// How many leaves there are; an endpoint is one of the same leaf always.
    leaves: u32,
    /// Priorities of localities, by name, of endpoints.
    configured: Vec<Vec<(u32, Vec<u32>)>>,
}

const ENDPOINTS: u32 = 8;

impl World {
    fn new(policies: &[(LbPolicy, LocalityPolicy)], leaves: u32, seed: u64) -> Self {
        let mut driver = Driver::round_robin();
        driver.rng = StdRng::seed_from_u64(seed);
        Self {
            driver,
            rng: StdRng::seed_from_u64(seed),
            behaviours: (1..=ENDPOINTS).map(|id| (id, Behaviour::Accepts)).collect(),
            subchannels: BTreeMap::new(),
            policies: policies.to_vec(),
            leaves,
            configured: Vec::new(),
        }
    }

    fn configure(&mut self) {
        let first = self.rng.random_range(0..self.leaves);
        let order = (first..self.leaves).chain(0..first);
        self.configured = Vec::new();
        let mut priorities = Vec::new();
        for leaf in order {
            let (policy, localities) = &self.policies[self.rng.random_range(0..self.policies.len())];
            let settings = settings(&leaf.to_string(), policy, *localities);
            let zones_of_leaf = self.draw_priorities(leaf);
            priorities.extend(zones_of_leaf.iter().map(|zones| {
                let zones = zones.iter().map(|(name, ids)| locality(&name.to_string(), name + 1, ids));
                LbPriority::new(settings.clone(), zones.collect())
            }));
            self.configured.extend(zones_of_leaf);
        }
        let listed: BTreeSet<u32> =
            self.configured.iter().flatten().flat_map(|(_, ids)| ids.clone()).collect();
        self.subchannels.retain(|id, _| listed.contains(id));
        for id in listed {
            self.subchannels.entry(id).or_insert((Phase::Idle, None));
        }
        let commands = self.driver.update_with(LbUpdate { priorities, note: None });
        self.run_commands(commands);
    }

    fn draw_priorities(&mut self, leaf: u32) -> Vec<Vec<(u32, Vec<u32>)>> {
        let mut priorities = vec![Vec::new(); self.rng.random_range(1..4)];
        for id in (1..=ENDPOINTS).filter(|id| id % self.leaves == leaf) {
            if self.rng.random_bool(0.7) {
                let priority = self.rng.random_range(0..priorities.len());
                let zone = self.rng.random_range(0..2);
                let zones: &mut Vec<(u32, Vec<u32>)> = &mut priorities[priority];
                match zones.iter_mut().find(|(name, _)| *name == zone) {
                    Some((_, ids)) => ids.push(id),
                    None => zones.push((zone, vec![id])),
                }
            }
        }
        priorities
    }

    /// A subchannel as the runtime has it, with a latency and a backoff of one second.
    fn run_commands(&mut self, commands: Vec<Command>) {
        for command in commands {
            let (Command::Connect(id) | Command::Disconnect(id)) = command;
            let (now, answer_time) = (self.driver.now, self.answer_time(id.0));
            let subchannel =
                self.subchannels.get_mut(&id.0).expect("a command for an endpoint that is not listed");
            match (command, subchannel.0) {
                (Command::Disconnect(_), _) => *subchannel = (Phase::Idle, None),
                (Command::Connect(_), Phase::Idle) => {
                    let due = now + answer_time;
                    *subchannel = (Phase::Connecting, Some(due));
                    self.report(id.0, Connectivity::Connecting);
                }
                (Command::Connect(_), Phase::BackingOff { .. }) => {
                    subchannel.0 = Phase::BackingOff { is_wanted: true };
                }
                (Command::Connect(_), Phase::Connecting | Phase::Ready) => {}
            }
        }
    }

    /// How long an attempt takes: 20 ms, or until the runtime gives up on one that hangs.
    fn answer_time(&self, id: u32) -> Duration {
        match self.behaviours[&id] {
            Behaviour::Accepts | Behaviour::Refuses => Duration::from_millis(20),
            Behaviour::Hangs => Duration::from_secs(20),
        }
    }

    fn report(&mut self, id: u32, state: Connectivity) {
        let commands = self.driver.report(id, state);
        self.run_commands(commands);
    }

    fn on_due(&mut self, id: u32, phase: Phase) {
        let now = self.driver.now;
        let (next, due, state) = match (phase, self.behaviours[&id]) {
            (Phase::Connecting, Behaviour::Accepts) => (Phase::Ready, None, Connectivity::Ready),
            (Phase::Connecting, Behaviour::Refuses | Behaviour::Hangs) => (
                Phase::BackingOff { is_wanted: false },
                Some(now + Duration::from_secs(1)),
                Connectivity::TransientFailure("no connection".into()),
            ),
            (Phase::BackingOff { is_wanted: true }, _) => {
                (Phase::Connecting, Some(now + self.answer_time(id)), Connectivity::Connecting)
            }
            (Phase::BackingOff { is_wanted: false }, _) => (Phase::Idle, None, Connectivity::Idle),
            (Phase::Idle | Phase::Ready, _) => return,
        };
        self.subchannels.insert(id, (next, due));
        self.report(id, state);
    }

    /// Lets time pass in small steps; calls are made all the time.
    fn run(&mut self, time: Duration) {
        let end = self.driver.now + time;
        while self.driver.now < end {
            let commands = self.driver.sleep(Duration::from_millis(10));
            self.run_commands(commands);
            let now = self.driver.now;
            let is_due = |(_, due): &(Phase, Option<Instant>)| due.is_some_and(|due| due <= now);
            let due: Vec<_> = self
                .subchannels
                .iter()
                .filter(|(_, subchannel)| is_due(subchannel))
                .map(|(id, _)| *id)
                .collect();
            for id in due {
                if let Some(subchannel) = self.subchannels.get(&id).filter(|subchannel| is_due(subchannel)) {
                    self.on_due(id, subchannel.0);
                }
            }
            self.call();
        }
    }

    /// One call: it may only be sent where there is a connection.
    fn call(&mut self) {
        match self.driver.pick() {
            Pick::Endpoint(id) | Pick::EndpointInstead { endpoint: id, .. } => {
                assert_eq!(self.subchannels[&id.0].0, Phase::Ready, "{id:?} has no connection")
            }
            Pick::Wait(Some(id)) => self.run_commands(vec![Command::Connect(id)]),
            Pick::Wait(None) if matches!(self.driver.state, Connectivity::Idle) => {
                let commands = self.driver.exit_idle();
                self.run_commands(commands);
            }
            Pick::Wait(None) | Pick::Fail(_) => {}
            Pick::Drop(_) => panic!("nothing is to be dropped"),
        }
    }

    /// Changes one thing.
    fn disturb(&mut self) {
        let id = self.rng.random_range(1..=ENDPOINTS);
        match self.rng.random_range(0..6) {
            0 => self.configure(),
            1 => self.turn(id, Behaviour::Hangs),
            2 => self.turn(id, Behaviour::Refuses),
            _ => self.turn(id, Behaviour::Accepts),
        }
    }

    /// An endpoint starts anew and behaves like this from now on. A connection breaks.
    fn turn(&mut self, id: u32, behaviour: Behaviour) {
        self.behaviours.insert(id, behaviour);
        if self.subchannels.get(&id).is_some_and(|(phase, _)| *phase == Phase::Ready) {
            self.subchannels.insert(id, (Phase::Idle, None));
            self.report(id, Connectivity::Idle);
        }
    }

    /// The endpoints that accept in the highest priority that has any.
    fn best(&self) -> BTreeSet<u32> {
        let accepting = |zones: &Vec<(u32, Vec<u32>)>| -> BTreeSet<u32> {
            let ids = zones.iter().flat_map(|(_, ids)| ids.iter().copied());
            ids.filter(|id| self.behaviours[id] == Behaviour::Accepts).collect()
        };
        self.configured.iter().map(accepting).find(|ids| !ids.is_empty()).unwrap_or_default()
    }
}

fn simulate(name: &str, policy: &LbPolicy, localities: LocalityPolicy, is_spread: bool) {
    simulate_leaves(name, &[(policy.clone(), localities)], 1, is_spread);
}

fn simulate_leaves(name: &str, policies: &[(LbPolicy, LocalityPolicy)], leaves: u32, is_spread: bool) {
    for seed in 0..30 {
        println!("{name}: seed {seed}");
        let mut world = World::new(policies, leaves, seed);
        world.configure();
        for _ in 0..8 {
            for _ in 0..world.rng.random_range(1..12) {
                world.disturb();
                let pause = world.rng.random_range(0..3_000);
                world.run(Duration::from_millis(pause));
            }
            // quiet for longer than all failover timers: calls go where they should
            world.run(Duration::from_secs(45));
            let best = world.best();
            if best.is_empty() {
                assert!(!matches!(world.driver.state, Connectivity::Ready), "ready without an endpoint");
                continue;
            }
            let users: BTreeSet<u32> = world.driver.users().into_iter().collect();
            assert!(users.is_subset(&best), "{users:?} of {best:?}");
            assert!(!is_spread || users == best, "{users:?} of {best:?}");
        }
    }
}

#[test]
fn round_robin_finds_every_endpoint_that_accepts() {
    simulate("round robin", &LbPolicy::RoundRobin, LocalityPolicy::Weighted, true);
    simulate("round robin, flat", &LbPolicy::RoundRobin, LocalityPolicy::Flat, true);
}

#[test]
fn least_request_finds_every_endpoint_that_accepts() {
    let policy = LbPolicy::LeastRequest { choice_count: 2 };
    simulate("least request", &policy, LocalityPolicy::Weighted, true);
}

#[test]
fn pick_first_finds_an_endpoint_that_accepts() {
    simulate("pick first", &LbPolicy::PickFirst { shuffle: false }, LocalityPolicy::Flat, false);
    simulate("pick first, shuffled", &LbPolicy::PickFirst { shuffle: true }, LocalityPolicy::Flat, false);
    simulate(
        "pick first by locality",
        &LbPolicy::PickFirst { shuffle: false },
        LocalityPolicy::Weighted,
        false,
    );
}

#[test]
fn ring_hash_finds_endpoints_that_accept() {
    let sizes = RingHash::new(64, 4096);
    simulate("ring hash", &LbPolicy::RingHash(sizes), LocalityPolicy::Flat, false);
}

/// LB-03: leaves come in another order, with other priorities and with other policies.
#[test]
fn aggregates_find_an_endpoint_that_accepts_in_the_first_leaf_that_has_one() {
    let round_robin = (LbPolicy::RoundRobin, LocalityPolicy::Weighted);
    simulate_leaves("leaves", std::slice::from_ref(&round_robin), 2, true);
    let policies = [
        round_robin,
        (LbPolicy::LeastRequest { choice_count: 2 }, LocalityPolicy::Flat),
        (LbPolicy::PickFirst { shuffle: true }, LocalityPolicy::Flat),
        (LbPolicy::RingHash(RingHash::new(64, 4096)), LocalityPolicy::Flat),
    ];
    simulate_leaves("policies that change", &policies, 1, false);
    simulate_leaves("leaves whose policies change", &policies, 3, false);
}
