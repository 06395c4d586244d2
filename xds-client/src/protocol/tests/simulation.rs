//! A client and a server that follows the protocol, over a network that delays, on virtual time; and one with an
//! adversary on the line. Each failure prints its seed.

use std::collections::{BTreeMap, BTreeSet, HashSet, VecDeque};
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};

use super::{CDS, EDS, ONE, Sent, response, show};
use crate::protocol::{
    AdsState, Interest, Request, ResourceKind, Response, ServerSettings, Settings, StreamEnd,
};

const NAMES: [&str; 5] = ["a", "b", "c", "d", "e"];
const KINDS: [ResourceKind; 2] = [CDS, EDS];

/// The server's resource under a name: a valid value or an invalid one.
type Truth = Result<u64, &'static str>;

/// The server's side of one type on one stream: SotW with nonces, as the protocol document has it (CS-01, CS-03).
#[derive(Default)]
struct Side {
    truth: BTreeMap<&'static str, Truth>,
    names: BTreeSet<&'static str>,
    nonce: u64,
    asked: bool,
}

#[derive(Default)]
struct World {
    sides: [Side; 2],
    /// Delivered in order, after any delay.
    to_server: VecDeque<Request>,
    to_client: VecDeque<(usize, Response)>,
}

impl World {
    fn on_request(&mut self, request: &Request) {
        let index = KINDS.iter().position(|kind| kind.type_url == request.type_url).unwrap();
        let side = &mut self.sides[index];
        // CS-01
        if !request.nonce.is_empty() && request.nonce != side.nonce.to_string() {
            return;
        }
        let Interest::Full { names: asked, .. } = &request.interest else { panic!("not state of the world") };
        let named = |known: &&&str| asked.iter().any(|name| **name == ***known);
        let names: BTreeSet<_> = NAMES.iter().filter(named).copied().collect();
        let new: Vec<_> = names.difference(&side.names).copied().collect();
        side.names = names;
        // A stream begins with all clusters, even if there are none: otherwise the client would not learn of clusters that
        // were deleted while there was no stream.
        let beginning = !std::mem::replace(&mut side.asked, true) && KINDS[index].full_state;
        if beginning || new.iter().any(|name| side.truth.contains_key(name)) {
            self.push(index, &new);
        }
    }

    /// CS-04: clusters all together, endpoints one by one.
    fn push(&mut self, index: usize, changed: &[&'static str]) {
        let side = &mut self.sides[index];
        let full = KINDS[index].full_state;
        let told = |name: &&str| side.names.contains(*name) && (full || changed.contains(name));
        let resources: Vec<Sent<'_>> =
            side.truth.iter().filter(|(name, _)| told(name)).map(|(name, truth)| (*name, *truth)).collect();
        if side.asked && (full || !resources.is_empty()) {
            side.nonce += 1;
            let nonce = side.nonce.to_string();
            self.to_client.push_back((index, response(KINDS[index], &nonce, &nonce, &resources)));
        }
    }

    fn reset(&mut self) {
        self.to_server.clear();
        self.to_client.clear();
        for side in &mut self.sides {
            (side.names, side.nonce, side.asked) = (BTreeSet::new(), 0, false);
        }
    }
}

struct Simulation {
    seed: u64,
    rng: StdRng,
    now: Instant,
    ads: AdsState,
    world: World,
    open: bool,
    watched: HashSet<(usize, &'static str)>,
    /// The expected value in use: the last valid value that the client received while watching.
    accepted: BTreeMap<(usize, &'static str), u64>,
    next_value: u64,
    answers_due: i64,
    last_seen: Option<(usize, Response)>,
}

impl Simulation {
    fn new(seed: u64) -> Self {
        Self {
            seed,
            rng: StdRng::seed_from_u64(seed),
            now: Instant::now(),
            ads: AdsState::new(Settings::one_server(ServerSettings::new("server"))),
            world: World::default(),
            open: false,
            watched: HashSet::new(),
            accepted: BTreeMap::new(),
            next_value: 0,
            answers_due: 0,
            last_seen: None,
        }
    }

    fn run(&mut self, steps: usize, adversary: bool) {
        for _ in 0..steps {
            match self.rng.random_range(0..if adversary { 14 } else { 12 }) {
                0..=2 => self.toggle_watch(),
                3 => self.change_truth(),
                4..=6 => self.deliver_request(),
                7..=9 => self.deliver_response(),
                10 if self.rng.random_ratio(1, 8) => self.end_stream(),
                10 => {
                    let time = Duration::from_millis(self.rng.random_range(0..400));
                    self.pass(time);
                }
                11 => self.send(),
                _ => self.disturb(),
            }
            self.check();
        }
    }

    fn toggle_watch(&mut self) {
        let index = self.rng.random_range(0..2);
        let name = *NAMES.choose(&mut self.rng).unwrap();
        if self.watched.remove(&(index, name)) {
            self.ads.unwatch(KINDS[index].type_url, &name.into());
            self.accepted.remove(&(index, name));
        } else {
            self.watched.insert((index, name));
            self.ads.watch(KINDS[index], &name.into());
            // Watched again before a request omitted it: still current.
            if let Some(Ok(any)) = self.ads.view(KINDS[index].type_url, &name.into()).value {
                self.accepted.insert((index, name), *any.downcast_ref().unwrap());
            }
        }
        self.open_or_close();
    }

    fn change_truth(&mut self) {
        let index = self.rng.random_range(0..2);
        let name = *NAMES.choose(&mut self.rng).unwrap();
        self.next_value += 1;
        let truth = &mut self.world.sides[index].truth;
        match self.rng.random_range(0..6) {
            0 => _ = truth.remove(name),
            1 => _ = truth.insert(name, Err("bad")),
            _ => _ = truth.insert(name, Ok(self.next_value)),
        }
        self.world.push(index, &[name]);
    }

    fn deliver_request(&mut self) {
        if let Some(request) = self.world.to_server.pop_front() {
            self.world.on_request(&request);
        }
    }

    fn deliver_response(&mut self) {
        if let Some((index, response)) = self.world.to_client.pop_front() {
            self.receive(index, response);
        }
    }

    fn receive(&mut self, index: usize, response: Response) {
        for received in response.resources.iter().flatten() {
            let name = NAMES.into_iter().find(|name| **name == *received.name).unwrap();
            if self.watched.contains(&(index, name)) {
                self.accepted.insert((index, name), *received.resource.downcast_ref().unwrap());
            }
        }
        let asked = self.world.sides[index].asked || self.watched.iter().any(|(of, _)| *of == index);
        self.answers_due += i64::from(asked);
        self.last_seen = Some((index, response.clone()));
        self.ads.on_response(ONE, self.now, response);
        self.send();
    }

    fn send(&mut self) {
        let mut nonces = HashSet::new();
        while let Some(request) = self.ads.poll_request(ONE, self.now) {
            // An answer is the first request with this nonce; later ones only change names.
            nonces.insert((request.type_url, request.nonce.clone()));
            self.world.to_server.push_back(request);
        }
        if self.answers_due > 0 {
            assert!(!nonces.is_empty(), "seed {}: a response was not answered", self.seed);
            self.answers_due = 0;
        }
    }

    fn end_stream(&mut self) {
        if !std::mem::take(&mut self.open) {
            return;
        }
        let end = StreamEnd::Closed { reason: "reset".to_owned() };
        self.ads.on_stream_ended(ONE, self.now, end, &mut self.rng);
        self.world.reset();
        self.answers_due = 0;
        self.last_seen = None;
        self.open_or_close();
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
        self.ads.on_deadline(self.now, &mut self.rng);
        self.open_or_close();
    }

    fn open_or_close(&mut self) {
        if !self.ads.stream_wanted(ONE) {
            self.ads.on_stream_dropped(ONE);
            self.open = false;
            self.world.reset();
            self.last_seen = None;
        } else if self.ads.should_open(ONE) {
            self.ads.on_opening(ONE, self.now);
            self.ads.on_stream_opened(ONE);
            self.open = true;
        }
    }

    /// The adversary: repeated responses, old nonces, other types, resources without a subscription.
    fn disturb(&mut self) {
        let Some((index, mut seen)) = self.last_seen.clone() else { return };
        match self.rng.random_range(0..4) {
            0 => {}
            1 => seen.nonce = "stale".to_owned(),
            2 => seen.type_url = "type.googleapis.com/x.Unknown".to_owned(),
            _ => seen.resources.clear(),
        }
        match seen.type_url == KINDS[index].type_url {
            true => self.receive(index, seen),
            false => self.ads.on_response(ONE, self.now, seen),
        }
    }

    /// Every accepted value is in use.
    fn check(&mut self) {
        while self.ads.poll_event().is_some() {}
        for ((index, name), value) in &self.accepted {
            let view = self.ads.view(KINDS[*index].type_url, &(*name).into());
            let used = view.value.clone().and_then(Result::ok).and_then(|any| any.downcast::<u64>().ok());
            assert_eq!(used.as_deref(), Some(value), "seed {}: {name}: {}", self.seed, show(&view));
        }
    }

    /// Everything in transit arrives, and the timers run out.
    fn settle(&mut self) {
        for _ in 0..200 {
            self.pass(Duration::from_secs(1));
            while self.ads.stream_wanted(ONE) {
                self.send();
                let idle = self.world.to_server.is_empty() && self.world.to_client.is_empty();
                if idle {
                    break;
                }
                self.deliver_request();
                self.deliver_response();
            }
        }
        self.check();
    }

    /// What the client uses is what the server last sent and the client accepted.
    fn agree(&self) {
        for (index, name) in &self.watched {
            let view = self.ads.view(KINDS[*index].type_url, &(*name).into());
            let held = self.world.sides[*index].truth.get(name);
            let shown = show(&view);
            let fits = match held {
                Some(Ok(value)) => shown == value.to_string(),
                Some(Err(_)) => shown.ends_with("bad"),
                None => shown.ends_with("does not exist") || !KINDS[*index].full_state,
            };
            assert!(fits, "seed {}: {name} of {index} is {held:?}, used is {shown}", self.seed);
        }
    }
}

/// Proves: TR-07, TR-09.
#[test]
fn client_and_server_agree_in_the_end() {
    for seed in (0..400).chain([1014]) {
        let mut simulation = Simulation::new(seed);
        for _ in 0..3 {
            simulation.run(300, false);
            simulation.settle();
            simulation.agree();
        }
    }
}

#[test]
fn accepted_resources_survive_an_adversary() {
    for seed in (0..400).chain([1014]) {
        let mut simulation = Simulation::new(seed);
        simulation.run(1_000, true);
        simulation.settle();
    }
}
