//! A stream against a client that does everything a client may do, at any time, over a line that delays both ways.
//!
//! After each response: no client gets a resource that it has, has refused or is not subscribed to, and no
//! response while an answer is open. At the end: what the client holds is what there is.

use std::collections::{BTreeMap, BTreeSet, HashSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use xds_proto::envoy::service::discovery::v3::{DeltaDiscoveryRequest, DiscoveryRequest};
use xds_proto::google::rpc::Status;

use super::{PACING, set};
use crate::discovery::stream::{Limits, Protocol, Request, Stream};
use crate::discovery::wire::Response;
use crate::resources::{ResourceKind, ResourceSet, Slot, glob_of};

/// Small and repeatable.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % limit
    }

    fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }
}

/// A request on its way.
#[derive(Clone)]
struct Sent {
    kind: ResourceKind,
    /// SotW: all names; delta: what is added.
    names: Vec<String>,
    removed: Vec<String>,
    holds: BTreeMap<String, String>,
    version: String,
    nonce: String,
    is_refused: bool,
}

/// What a client knows of a type.
#[derive(Default)]
struct Side {
    wants: BTreeSet<String>,
    wildcard: bool,
    holds: BTreeMap<String, String>,
    refused: BTreeMap<String, String>,
    told_absent: BTreeSet<String>,
    version: String,
    nonce: String,
    is_asked: bool,
}

/// What the server may assume of a type, from what has reached it.
#[derive(Default)]
struct Mirror {
    wants: BTreeSet<String>,
    wildcard: bool,
    sent: BTreeMap<String, String>,
    asked_anew: bool,
    outstanding: Option<String>,
    last_nonce: String,
}

struct World {
    protocol: Protocol,
    dice: Dice,
    now: Instant,
    stream: Stream,
    truth: BTreeMap<(ResourceKind, String), usize>,
    set: Arc<ResourceSet>,
    sides: BTreeMap<ResourceKind, Side>,
    mirrors: BTreeMap<ResourceKind, Mirror>,
    to_server: VecDeque<Sent>,
    to_client: VecDeque<Response>,
    nonces: HashSet<String>,
    refusals: bool,
}

const KINDS: [ResourceKind; 4] =
    [ResourceKind::Cluster, ResourceKind::Endpoints, ResourceKind::LbEndpoint, ResourceKind::Route];

/// Names that resources may have.
fn names(kind: ResourceKind) -> Vec<String> {
    let names = ["a", "b", "c", "d", "e"];
    match kind {
        ResourceKind::LbEndpoint => {
            ["g/a", "g/b", "g/c", "h/a", "h/b"].iter().map(ToString::to_string).collect()
        }
        _ => names.iter().map(ToString::to_string).collect(),
    }
}

/// Names that can be subscribed to.
fn subjects(kind: ResourceKind) -> Vec<String> {
    match kind {
        ResourceKind::LbEndpoint => vec!["g/*".to_owned(), "h/*".to_owned()],
        _ => names(kind),
    }
}

/// What a client subscribes to in order to get this resource.
fn subject(kind: ResourceKind, name: &str) -> String {
    match kind {
        ResourceKind::LbEndpoint => glob_of(name).unwrap_or_else(|| name.to_owned()),
        _ => name.to_owned(),
    }
}

impl World {
    fn new(protocol: Protocol, seed: u64) -> Self {
        let now = Instant::now();
        Self {
            protocol,
            dice: Dice(seed),
            now,
            stream: Stream::new(now, protocol, PACING, Limits::default()),
            truth: BTreeMap::new(),
            set: Arc::default(),
            sides: BTreeMap::new(),
            mirrors: BTreeMap::new(),
            to_server: VecDeque::new(),
            to_client: VecDeque::new(),
            nonces: HashSet::new(),
            refusals: true,
        }
    }

    fn kind(&mut self) -> ResourceKind {
        loop {
            let kind = KINDS[self.dice.below(KINDS.len())];
            if self.protocol == Protocol::Delta || kind != ResourceKind::LbEndpoint {
                return kind;
            }
        }
    }

    fn step(&mut self) {
        match self.dice.below(20) {
            0..3 => self.reconfigure(),
            3..7 => self.resubscribe(),
            7..12 => self.deliver_request(),
            12..17 => self.deliver_response(),
            17..19 => self.now += Duration::from_millis(self.dice.below(3000) as u64),
            _ if self.dice.chance(10) => self.reconnect(),
            _ if self.dice.chance(20) => self.send_nonsense(),
            _ => {}
        }
        self.collect_responses();
    }

    fn reconfigure(&mut self) {
        for _ in 0..=self.dice.below(3) {
            let kind = self.kind();
            let all = names(kind);
            let name = all[self.dice.below(all.len())].clone();
            match self.dice.below(5) {
                0 | 1 => drop(self.truth.remove(&(kind, name))),
                version => drop(self.truth.insert((kind, name), version)),
            }
        }
        let texts: Vec<String> = self
            .truth
            .iter()
            .map(|((kind, name), version)| format!("{} {name}={version}", kind.short_name()))
            .collect();
        let new = Arc::new(set(&texts.iter().map(String::as_str).collect::<Vec<_>>()));
        let mut changed: Vec<(Slot, Arc<str>)> = Vec::new();
        new.changes_since(&self.set, |slot, name| changed.push((slot, Arc::clone(name))));
        self.set = new;
        self.stream.on_resources(self.now, &self.set, &changed, self.now);
    }

    fn resubscribe(&mut self) {
        let (kind, protocol) = (self.kind(), self.protocol);
        // Under SotW the server cannot see that a name was omitted for a moment: a client that omits one waits.
        let is_busy = self.to_server.iter().any(|sent| sent.kind == kind)
            || self.to_client.iter().any(|response| response.kind == kind);
        if protocol == Protocol::Sotw && is_busy {
            return;
        }
        let all = subjects(kind);
        let (mut added, mut removed) = (Vec::new(), Vec::new());
        let side = self.sides.entry(kind).or_default();
        for _ in 0..=self.dice.below(2) {
            let name = all[self.dice.below(all.len())].clone();
            let wildcard = kind.is_full_state() && self.dice.chance(10);
            let name = if wildcard { "*".to_owned() } else { name };
            if added.contains(&name) || removed.contains(&name) {
                continue;
            }
            let is_wanted = if wildcard { side.wildcard } else { side.wants.contains(&name) };
            if is_wanted && !self.dice.chance(20) {
                side.want(&name, false);
                removed.push(name);
            } else if !is_wanted || protocol == Protocol::Delta {
                side.want(&name, true);
                side.refused.retain(|held, _| subject(kind, held) != name);
                added.push(name);
            }
        }
        side.drop_unwanted(kind);
        if !added.is_empty() || !removed.is_empty() {
            self.ask(kind, added, removed);
        }
    }

    fn ask(&mut self, kind: ResourceKind, added: Vec<String>, removed: Vec<String>) {
        let side = self.sides.entry(kind).or_default();
        let is_first = !std::mem::replace(&mut side.is_asked, true);
        let sent = match self.protocol {
            // TR-10: nothing is asked for at first only if nothing is wanted.
            Protocol::Sotw if is_first && side.all().is_empty() => {
                side.is_asked = false;
                return;
            }
            Protocol::Sotw => Sent {
                kind,
                names: side.all(),
                removed: Vec::new(),
                holds: BTreeMap::new(),
                version: side.version.clone(),
                nonce: side.nonce.clone(),
                is_refused: false,
            },
            Protocol::Delta => Sent {
                kind,
                names: if is_first { side.all() } else { added },
                removed: if is_first { Vec::new() } else { removed },
                holds: if is_first { side.holds.clone() } else { BTreeMap::new() },
                version: String::new(),
                nonce: String::new(),
                is_refused: false,
            },
        };
        if self.protocol == Protocol::Delta && sent.names.is_empty() && sent.removed.is_empty() {
            self.sides.entry(kind).or_default().is_asked = false;
            return;
        }
        self.to_server.push_back(sent);
    }

    fn deliver_request(&mut self) {
        let Some(sent) = self.to_server.pop_front() else { return };
        self.mirrors.entry(sent.kind).or_default().on_request(self.protocol, &sent);
        let request = sent.into_request(self.protocol);
        self.stream.on_request(self.now, request, Some(&self.set)).unwrap();
        self.stream.take_interests();
    }

    fn collect_responses(&mut self) {
        while let Some(response) = self.stream.next_response(self.now, &self.set) {
            assert!(self.nonces.insert(response.nonce.to_string()), "a nonce twice");
            self.mirrors.entry(response.kind).or_default().check(self.protocol, &response);
            self.to_client.push_back(response);
        }
    }

    fn deliver_response(&mut self) {
        let Some(response) = self.to_client.pop_front() else { return };
        let is_refused = self.refusals && self.dice.chance(15);
        let side = self.sides.entry(response.kind).or_default();
        side.nonce = response.nonce.to_string();
        let kind = response.kind;
        let all: HashSet<String> = response.resources.iter().map(|one| one.name.to_string()).collect();
        for resource in &response.resources {
            let (name, version) = (resource.name.to_string(), resource.version.to_string());
            if !side.is_wanted(kind, &name) {
                continue;
            }
            if is_refused && self.dice.chance(50) {
                side.refused.insert(name, version);
            } else {
                side.refused.remove(&name);
                side.told_absent.remove(&name);
                side.holds.insert(name, version);
            }
        }
        for name in &response.removed {
            side.holds.remove(&**name);
            side.refused.remove(&**name);
            side.told_absent.insert(name.to_string());
        }
        if self.protocol == Protocol::Sotw && kind.is_full_state() {
            side.holds.retain(|name, _| all.contains(name));
            side.refused.retain(|name, _| all.contains(name));
        }
        if !is_refused {
            side.version = response.version.to_string();
        }
        let names = if self.protocol == Protocol::Sotw { side.all() } else { Vec::new() };
        let (version, nonce) = (side.version.clone(), side.nonce.clone());
        let (removed, holds) = (Vec::new(), BTreeMap::new());
        self.to_server.push_back(Sent { kind, names, removed, holds, version, nonce, is_refused });
    }

    fn reconnect(&mut self) {
        self.stream = Stream::new(self.now, self.protocol, PACING, Limits::default());
        self.stream.on_resources(self.now, &self.set, &[], self.now);
        self.mirrors.clear();
        self.to_server.clear();
        self.to_client.clear();
        self.nonces.clear();
        for kind in KINDS {
            let side = self.sides.entry(kind).or_default();
            (side.is_asked, side.nonce) = (false, String::new());
            side.refused.clear();
            side.told_absent.clear();
            if !side.all().is_empty() {
                self.ask(kind, Vec::new(), Vec::new());
            }
        }
    }

    /// What no client says, and some do.
    fn send_nonsense(&mut self) {
        let kind = self.kind();
        let side = self.sides.entry(kind).or_default();
        if !side.is_asked {
            return;
        }
        let names = if self.protocol == Protocol::Sotw { side.all() } else { Vec::new() };
        let nonce = ["0", "99999", "x"][self.dice.below(3)].to_owned();
        let is_refused = self.dice.chance(50);
        let removed = if self.dice.chance(50) { vec!["phantom".to_owned()] } else { Vec::new() };
        let (holds, version) = (BTreeMap::new(), "?".to_owned());
        self.to_server.push_back(Sent { kind, names, removed, holds, version, nonce, is_refused });
    }

    /// Lets everything arrive.
    fn calm_down(&mut self) {
        self.refusals = false;
        for _ in 0..100 {
            while !self.to_server.is_empty() || !self.to_client.is_empty() {
                self.deliver_request();
                self.deliver_response();
                self.collect_responses();
            }
            match self.stream.next_deadline(self.now) {
                Some(deadline) => self.now = deadline,
                None => return,
            }
            self.collect_responses();
        }
        panic!("it never calms down");
    }

    fn check_truth(&self) {
        for (kind, side) in &self.sides {
            for ((_, name), version) in self.truth.iter().filter(|((of, _), _)| of == kind) {
                if !side.is_wanted(*kind, name) {
                    continue;
                }
                let version = version.to_string();
                let is_held = side.holds.get(name) == Some(&version);
                let is_refused = side.refused.get(name) == Some(&version);
                assert!(is_held || is_refused, "{kind:?} {name}={version}: held {:?}", side.holds.get(name));
            }
            let exists = |name: &String| self.truth.contains_key(&(*kind, name.clone()));
            if self.protocol == Protocol::Delta || kind.is_full_state() {
                assert!(side.holds.keys().all(exists), "{kind:?}: held and gone: {:?}", side.holds);
            }
            for name in side.wants.iter().filter(|_| *kind != ResourceKind::LbEndpoint) {
                let has_had = side.holds.contains_key(name) || side.refused.contains_key(name);
                let is_known = exists(name) || side.told_absent.contains(name) || has_had;
                assert!(is_known, "{kind:?} {name} does not exist, and the client was not told");
            }
        }
    }
}

impl Side {
    fn all(&self) -> Vec<String> {
        self.wants.iter().cloned().chain(self.wildcard.then(|| "*".to_owned())).collect()
    }

    fn want(&mut self, name: &str, wanted: bool) {
        match (name, wanted) {
            ("*", _) => self.wildcard = wanted,
            (name, true) => _ = self.wants.insert(name.to_owned()),
            (name, false) => _ = self.wants.remove(name),
        }
    }

    fn is_wanted(&self, kind: ResourceKind, name: &str) -> bool {
        self.wildcard || self.wants.contains(&subject(kind, name))
    }

    fn drop_unwanted(&mut self, kind: ResourceKind) {
        let (wildcard, wants) = (self.wildcard, self.wants.clone());
        let is_wanted = |name: &String| wildcard || wants.contains(&subject(kind, name));
        self.holds.retain(|name, _| is_wanted(name));
        self.refused.retain(|name, _| is_wanted(name));
        self.told_absent.retain(is_wanted);
    }
}

impl Mirror {
    fn on_request(&mut self, protocol: Protocol, sent: &Sent) {
        let is_stale = !sent.nonce.is_empty() && !self.last_nonce.is_empty() && sent.nonce != self.last_nonce;
        if is_stale && protocol == Protocol::Sotw {
            return;
        }
        if !sent.nonce.is_empty() && !is_stale {
            self.outstanding = None;
        }
        let kind = sent.kind;
        let removed: Vec<String> = match protocol {
            Protocol::Sotw => self.wants.iter().filter(|name| !sent.names.contains(name)).cloned().collect(),
            Protocol::Delta => sent.removed.clone(),
        };
        for name in removed {
            self.asked_anew |= self.wants.remove(&name) && self.wildcard;
            self.wildcard &= name != "*";
            if !self.wildcard || protocol == Protocol::Delta {
                self.sent.retain(|held, _| subject(kind, held) != name);
            }
        }
        if protocol == Protocol::Sotw {
            self.wildcard &= sent.names.iter().any(|name| name == "*");
        }
        let (wildcard, wants) = (self.wildcard, self.wants.clone());
        self.sent.retain(|held, _| wildcard || wants.contains(&subject(kind, held)));
        for name in &sent.names {
            let is_new = if name == "*" {
                !std::mem::replace(&mut self.wildcard, true)
            } else {
                self.wants.insert(name.clone()) || protocol == Protocol::Delta
            };
            self.asked_anew |= is_new;
            if is_new {
                self.sent.retain(|held, _| subject(kind, held) != *name);
            }
        }
        self.sent.extend(sent.holds.clone());
    }

    fn check(&mut self, protocol: Protocol, response: &Response) {
        assert_eq!(self.outstanding, None, "{:?}: an answer is open", response.kind);
        let kind = response.kind;
        let mut is_new = std::mem::take(&mut self.asked_anew) || !response.removed.is_empty();
        for resource in &response.resources {
            let (name, version) = (resource.name.to_string(), resource.version.to_string());
            let is_wanted = self.wildcard || self.wants.contains(&subject(kind, &name));
            assert!(is_wanted, "{kind:?} {name} is not wanted");
            let before = self.sent.insert(name.clone(), version.clone());
            let is_same = before.as_ref() == Some(&version);
            let may_repeat = protocol == Protocol::Sotw && kind.is_full_state();
            assert!(!is_same || may_repeat, "{kind:?} {name}={version} is held or refused already");
            is_new |= !is_same;
        }
        for name in &response.removed {
            self.sent.remove(&**name);
        }
        assert!(is_new, "{kind:?}: nothing new in {response:?}");
        self.outstanding = Some(response.nonce.to_string());
        self.last_nonce = response.nonce.to_string();
    }
}

impl Sent {
    fn into_request(self, protocol: Protocol) -> Request {
        let type_url = self.kind.type_url().to_owned();
        let error_detail = self.is_refused.then(Status::default);
        match protocol {
            Protocol::Sotw => DiscoveryRequest {
                type_url,
                resource_names: self.names,
                version_info: self.version,
                response_nonce: self.nonce,
                error_detail,
                ..DiscoveryRequest::default()
            }
            .into(),
            Protocol::Delta => DeltaDiscoveryRequest {
                type_url,
                resource_names_subscribe: self.names,
                resource_names_unsubscribe: self.removed,
                initial_resource_versions: self.holds.into_iter().collect(),
                response_nonce: self.nonce,
                error_detail,
                ..DeltaDiscoveryRequest::default()
            }
            .into(),
        }
    }
}

fn run(protocol: Protocol) {
    for seed in 0..SEEDS {
        let result = std::panic::catch_unwind(|| {
            let mut world = World::new(protocol, seed);
            for _ in 0..3 {
                (0..200).for_each(|_| world.step());
                world.calm_down();
                world.check_truth();
                world.refusals = true;
            }
        });
        assert!(result.is_ok(), "{protocol:?}, seed {seed}");
    }
}

const SEEDS: u64 = 40;

#[test]
fn sotw_client_converges_to_current_resources() {
    run(Protocol::Sotw);
}

#[test]
fn delta_client_converges_to_current_resources() {
    run(Protocol::Delta);
}
