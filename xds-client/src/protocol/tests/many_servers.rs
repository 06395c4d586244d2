//! Three servers of both protocols for two authorities, with an adversary: they refuse, end streams, fall silent,
//! change what they hold, send invalid resources and repeat themselves. Each failure prints its seed.

use std::collections::BTreeMap;

use rand::RngExt;
use rand::seq::IndexedRandom;

use super::*;

const NAMES: [&str; 6] =
    ["a", "b", "c", "xdstp://other/x.Cluster/a", "xdstp://other/x.Cluster/b", "xdstp://other/x.Cluster/c"];
const KINDS: [ResourceKind; 2] = [CDS, EDS];

type Key = (usize, &'static str);

/// One server: its resources, and its state of the stream.
#[derive(Default)]
struct Server {
    variant: Variant,
    truth: BTreeMap<Key, Result<u64, &'static str>>,
    /// The version of its resources, by type.
    versions: [u64; 2],
    /// Sends nothing on a stream that begins with its current version.
    goes_by_version: bool,
    reachable: bool,
    open: bool,
    asked: [BTreeSet<&'static str>; 2],
    begun: [bool; 2],
    nonce: u64,
}

struct World {
    seed: u64,
    client: Client,
    servers: Vec<Server>,
    watched: BTreeSet<Key>,
    /// The values that any server has sent since the watch began.
    given: BTreeMap<Key, BTreeSet<u64>>,
    next: u64,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut variant = || *[Variant::Sotw, Variant::Delta].choose(&mut rng).unwrap();
        let mut servers: Vec<_> =
            (0..3).map(|_| Server { variant: variant(), reachable: true, ..Server::default() }).collect();
        servers.iter_mut().for_each(|server| server.goes_by_version = rng.random());
        let of = |(index, server): (usize, &Server)| ServerSettings {
            variant: server.variant,
            ..ServerSettings::new(index.to_string())
        };
        let settings = Settings {
            servers: servers.iter().enumerate().map(of).collect(),
            default_authority: AuthoritySettings::new([ONE, TWO]),
            authorities: [("other".into(), AuthoritySettings::new([ServerId(2), TWO]))].into(),
        };
        let mut client = Client::with(settings);
        client.rng = rng;
        Self { seed, client, servers, watched: BTreeSet::new(), given: BTreeMap::new(), next: 0 }
    }

    fn step(&mut self) {
        match self.client.rng.random_range(0..16) {
            0..=2 => self.toggle(),
            3..=5 => self.change(),
            6 => self.turn(),
            7 => self.end(),
            8 => {
                let time = Duration::from_millis(self.client.rng.random_range(0..5_000));
                self.client.pass(time);
            }
            9 => self.repeat(),
            _ => {}
        }
        self.drive();
        self.check();
    }

    fn toggle(&mut self) {
        let key = (self.client.rng.random_range(0..2), *NAMES.choose(&mut self.client.rng).unwrap());
        if self.watched.remove(&key) {
            self.client.unwatch(KINDS[key.0], key.1);
        } else {
            self.watched.insert(key);
            self.client.watch(KINDS[key.0], key.1);
        }
    }

    fn change(&mut self) {
        let index = self.client.rng.random_range(0..3);
        let key = (self.client.rng.random_range(0..2), *NAMES.choose(&mut self.client.rng).unwrap());
        self.next += 1;
        self.servers[index].versions[key.0] += 1;
        let truth = &mut self.servers[index].truth;
        match self.client.rng.random_range(0..6) {
            0 => _ = truth.remove(&key),
            1 => _ = truth.insert(key, Err("bad")),
            _ => _ = truth.insert(key, Ok(self.next)),
        }
        self.push(index, key.0, &[key.1]);
    }

    /// A server becomes unreachable or reachable.
    fn turn(&mut self) {
        let index = self.client.rng.random_range(0..3);
        self.servers[index].reachable ^= true;
        if !self.servers[index].reachable {
            self.lose(index);
        }
    }

    fn end(&mut self) {
        let index = self.client.rng.random_range(0..3);
        self.lose(index);
    }

    fn lose(&mut self, index: usize) {
        if std::mem::take(&mut self.servers[index].open) {
            let end = StreamEnd::Closed { reason: "reset".to_owned() };
            let Client { ads, now, rng, .. } = &mut self.client;
            ads.on_stream_ended(ServerId(index), *now, end, rng);
        }
    }

    /// Repeats a response with an old nonce.
    fn repeat(&mut self) {
        let index = self.client.rng.random_range(0..3);
        let kind = self.client.rng.random_range(0..2);
        self.push(index, kind, &NAMES);
    }

    /// Invalid responses: types and names without a subscription, truncated resources, empty names,
    /// old nonces.
    fn disturb(&mut self) {
        let (index, kind) = (self.client.rng.random_range(0..3), self.client.rng.random_range(0..2));
        if !self.servers[index].open {
            return;
        }
        let mut lie =
            response(KINDS[kind], "lie", "stale", &[("", Err("cut off")), ("unknown", Ok(u64::MAX))]);
        match self.client.rng.random_range(0..3) {
            0 => lie.type_url = "type.googleapis.com/x.Unknown".to_owned(),
            1 => lie.removed = vec!["".into(), "unknown".into()],
            _ => lie.heartbeats = vec![Heartbeat { name: "unknown".into(), version: "".into(), ttl: None }],
        }
        self.client.ads.on_response(ServerId(index), self.client.now, lie);
    }

    /// Acts as the driver: does what the state wants, until nothing is left.
    fn drive(&mut self) {
        for _ in 0..50 {
            let mut idle = true;
            for index in 0..self.servers.len() {
                let id = ServerId(index);
                if self.servers[index].open && self.client.ads.should_close(id) {
                    self.servers[index].open = false;
                    self.client.ads.on_stream_dropped(id);
                    idle = false;
                }
                if !self.servers[index].open && self.client.ads.should_open(id) {
                    self.client.ads.on_opening(id, self.client.now);
                    idle = false;
                    let server = &mut self.servers[index];
                    if server.reachable {
                        (server.open, server.asked, server.begun) = (true, Default::default(), [false; 2]);
                        self.client.ads.on_stream_opened(id);
                    } else {
                        let Client { ads, now, rng, .. } = &mut self.client;
                        ads.on_open_failed(id, *now, "refused", rng);
                    }
                }
                while let Some(request) = self.client.ads.poll_request(id, self.client.now) {
                    idle = false;
                    self.serve(index, request);
                }
            }
            if idle {
                return;
            }
        }
        panic!("seed {}: never idle", self.seed);
    }

    fn serve(&mut self, index: usize, request: Request) {
        let kind = KINDS.iter().position(|kind| kind.type_url == request.type_url).unwrap();
        let server = &mut self.servers[index];
        let known = |names: &[Name]| -> BTreeSet<&'static str> {
            NAMES.into_iter().filter(|name| names.iter().any(|asked| **asked == **name)).collect()
        };
        let began = std::mem::replace(&mut server.begun[kind], true);
        let new: Vec<_> = match request.interest {
            Interest::Full { names, version } => {
                let names = known(&names);
                let new = names.difference(&server.asked[kind]).copied().collect();
                server.asked[kind] = names;
                if !began && server.goes_by_version && version == server.versions[kind].to_string() {
                    return;
                }
                new
            }
            Interest::Change { subscribe, unsubscribe, initial_versions } => {
                let gone = known(&unsubscribe);
                server.asked[kind].retain(|name| !gone.contains(name));
                let new = known(&subscribe);
                server.asked[kind].extend(&new);
                let held = |name: &&str| match server.truth.get(&(kind, *name)) {
                    Some(Ok(value)) => initial_versions
                        .iter()
                        .any(|(held, version)| **held == **name && **version == *value.to_string()),
                    _ => false,
                };
                new.into_iter().filter(|name| !held(name)).collect()
            }
        };
        let whole = !began && KINDS[kind].full_state;
        if whole || !new.is_empty() {
            self.push(index, kind, &new);
        }
    }

    fn push(&mut self, index: usize, kind: usize, changed: &[&'static str]) {
        let server = &mut self.servers[index];
        if !server.open || !server.begun[kind] {
            return;
        }
        let full = KINDS[kind].full_state && server.variant == Variant::Sotw;
        let told: Vec<_> =
            server.asked[kind].iter().filter(|name| full || changed.contains(name)).copied().collect();
        let held: Vec<Sent<'_>> =
            told.iter().filter_map(|name| Some((*name, *server.truth.get(&(kind, *name))?))).collect();
        server.nonce += 1;
        let nonce = server.nonce.to_string();
        let mut response = response(KINDS[kind], &server.versions[kind].to_string(), &nonce, &held);
        if server.variant == Variant::Delta {
            let gone = told.iter().filter(|name| !server.truth.contains_key(&(kind, **name)));
            response.removed = gone.map(|name| (*name).into()).collect();
            for received in response.resources.iter_mut().flatten() {
                let value = *received.resource.downcast_ref::<u64>().unwrap();
                received.version = Some(value.to_string().into());
            }
        }
        for (name, value) in held {
            self.given.entry((kind, name)).or_default().extend(value.ok());
        }
        self.client.ads.on_response(ServerId(index), self.client.now, response);
    }

    /// Every value in use was sent by a server and accepted, and no accepted value is lost
    /// while it is watched.
    fn check(&mut self) {
        while self.client.ads.poll_event().is_some() {}
        for key in &self.watched {
            let view = self.client.ads.view(KINDS[key.0].type_url, &key.1.into());
            if let Some(Ok(any)) = &view.value {
                let value = any.downcast_ref::<u64>().unwrap();
                let given = self.given.get(key).is_some_and(|given| given.contains(value));
                assert!(given, "seed {}: {key:?} is {value}, which no server has sent", self.seed);
            }
        }
    }

    /// All servers but one are reachable for long enough, and then all of them: the client has the resources of the servers
    /// that it uses, and in the end those of its preferred servers.
    fn settle(&mut self) {
        for lost in [Some(0), None] {
            for index in 0..self.servers.len() {
                self.servers[index].reachable = lost != Some(index);
            }
            lost.into_iter().for_each(|index| self.lose(index));
            for _ in 0..40 {
                self.client.pass(10 * SECOND);
                self.drive();
            }
            self.check();
            self.agree(lost);
        }
    }

    fn agree(&self, lost: Option<usize>) {
        for key in &self.watched {
            let preferred = if key.1.starts_with("xdstp:") { 2 } else { 0 };
            let server: usize = self.client.ads.server_of(&key.1.into()).unwrap().parse().unwrap();
            if lost == Some(server) {
                // All resources are cached, so that no other server is used.
                continue;
            }
            assert!(server == preferred || lost == Some(preferred), "seed {}: {key:?}", self.seed);
            let shown = self.client.view(KINDS[key.0], key.1);
            let fits = match self.servers[server].truth.get(key) {
                Some(Ok(value)) => shown == value.to_string(),
                Some(Err(_)) => shown.ends_with("bad"),
                None => shown.ends_with("does not exist") || !self.says_deletions(server, *key),
            };
            assert!(fits, "seed {}: {key:?} of {server} is {shown}", self.seed);
        }
    }

    /// Only listeners and clusters, and resources of incremental servers, are deleted explicitly.
    fn says_deletions(&self, server: usize, key: Key) -> bool {
        KINDS[key.0].full_state || self.servers[server].variant == Variant::Delta
    }

    /// The number of streams; servers that are not needed have none.
    fn streams(&self) -> usize {
        self.servers.iter().filter(|server| server.open).count()
    }
}

#[test]
fn preferred_server_wins_after_any_history() {
    // Seeds beyond the first hundred have found bugs.
    for seed in (0..100).chain([115, 868, 1486, 2625]) {
        let mut world = World::new(seed);
        for _ in 0..3 {
            (0..200).for_each(|_| world.step());
            world.settle();
        }
        let needed = world.watched.iter().map(|(_, name)| name.starts_with("xdstp:"));
        let needed: BTreeSet<_> = needed.collect();
        assert_eq!(
            world.streams(),
            needed.len(),
            "seed {seed}: a stream to each preferred server, and no other"
        );
    }
}

/// A day of everything that can go wrong: no update is lost, nothing hangs, nothing grows.
#[test]
fn adversary_for_a_day_loses_no_resource_and_leaks_nothing() {
    const DAY: Duration = Duration::from_secs(24 * 3600);
    for seed in [1, 20_261_125] {
        println!("seed {seed}");
        let mut world = World::new(seed);
        let (began, mut largest) = (world.client.now, 0);
        while world.client.now - began < DAY {
            for _ in 0..100 {
                world.step();
                world.disturb();
                let time = Duration::from_millis(world.client.rng.random_range(0..20_000));
                world.client.pass(time);
            }
            world.drive();
            largest = largest.max(world.client.ads.footprint());
            world.settle();
        }
        assert!(largest < 20 * NAMES.len() * KINDS.len(), "seed {seed}: grew to {largest}");
        for (kind, name) in std::mem::take(&mut world.watched) {
            world.client.unwatch(KINDS[kind], name);
        }
        world.drive();
        assert_eq!(world.client.ads.resources(), [], "seed {seed}");
        assert_eq!(world.streams(), 0, "seed {seed}");
        assert_eq!(world.client.ads.next_deadline(), None, "seed {seed}");
        while world.client.ads.poll_event().is_some() {}
        assert_eq!(world.client.ads.footprint(), 0, "seed {seed}");
    }
}
