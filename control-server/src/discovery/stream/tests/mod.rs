//! The protocol as tables: what a client and the configuration do, and what the stream answers.

mod collections;
mod config;
mod delta;
mod limits;
mod random;
mod servers;
mod sotw;
mod spelling;
mod subscription;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use xds_proto::envoy::service::discovery::v3::{DeltaDiscoveryRequest, DiscoveryRequest};
use xds_proto::google::rpc::Status;

use super::{Event, Limits, Pacing, Protocol, Request, Stream};
use crate::discovery::config::ResourceConfig;
use crate::discovery::status::TypeStatus;
use crate::resources::{Collection, EncodedResource, ResourceKind, ResourceSet, Slot, glob_of};

/// A client that remembers what clients remember.
struct Client {
    protocol: Protocol,
    now: Instant,
    stream: Stream,
    set: Option<Arc<ResourceSet>>,
    types: BTreeMap<ResourceKind, Memory>,
}

/// What is remembered of a type.
#[derive(Default)]
struct Memory {
    names: Vec<String>,
    nonce: String,
    version: String,
    last: String,
    holds: HashMap<String, String>,
    fresh: HashMap<String, Option<String>>,
    is_asked: bool,
}

impl Client {
    fn new(protocol: Protocol) -> Self {
        let now = Instant::now();
        Self {
            protocol,
            now,
            stream: Stream::new(now, protocol, PACING, Limits::default()),
            set: None,
            types: BTreeMap::new(),
        }
    }

    fn of(&mut self, kind: ResourceKind) -> &mut Memory {
        self.types.entry(kind).or_default()
    }

    fn status(&self) -> Vec<TypeStatus> {
        self.stream.status(self.now, self.set.as_deref())
    }

    fn send(&mut self, request: impl Into<Request>) -> Event {
        self.stream.on_request(self.now, request.into(), self.set.as_deref()).unwrap()
    }

    /// A request; under delta with these names added and removed.
    fn request(
        &mut self,
        kind: ResourceKind,
        nonce: &str,
        refusal: Option<&str>,
        change: (&[String], &[String]),
    ) -> Event {
        let error_detail =
            refusal.map(|message| Status { code: 3, message: message.to_owned(), details: vec![] });
        let (type_url, response_nonce) = (kind.type_url().to_owned(), nonce.to_owned());
        let protocol = self.protocol;
        let memory = self.of(kind);
        let is_first = !std::mem::replace(&mut memory.is_asked, true);
        let request: Request = match protocol {
            Protocol::Sotw => DiscoveryRequest {
                type_url,
                resource_names: memory.names.clone(),
                version_info: memory.version.clone(),
                response_nonce,
                error_detail,
                ..DiscoveryRequest::default()
            }
            .into(),
            Protocol::Delta => DeltaDiscoveryRequest {
                type_url,
                resource_names_subscribe: change.0.to_vec(),
                resource_names_unsubscribe: change.1.to_vec(),
                initial_resource_versions: if is_first { memory.holds.clone() } else { HashMap::new() },
                response_nonce,
                error_detail,
                ..DeltaDiscoveryRequest::default()
            }
            .into(),
        };
        self.send(request)
    }

    fn ask(&mut self, kind: ResourceKind, names: &[&str]) -> Event {
        let nonce = if self.protocol == Protocol::Sotw { self.of(kind).nonce.clone() } else { String::new() };
        self.ask_with(kind, names, &nonce)
    }

    /// Under delta a `-` before a name unsubscribes.
    fn ask_with(&mut self, kind: ResourceKind, names: &[&str], nonce: &str) -> Event {
        let (off, on): (Vec<&str>, Vec<&str>) = names.iter().partition(|name| name.starts_with('-'));
        let on: Vec<String> = on.into_iter().map(str::to_owned).collect();
        let off: Vec<String> = off.into_iter().map(|name| name[1..].to_owned()).collect();
        let memory = self.of(kind);
        memory.holds.retain(|name, _| !off.contains(name));
        memory.names = on.clone();
        self.request(kind, nonce, None, (&on, &off))
    }

    fn ack(&mut self, kind: ResourceKind) -> Event {
        let memory = self.of(kind);
        memory.version = memory.last.clone();
        for (name, version) in std::mem::take(&mut memory.fresh) {
            match version {
                Some(version) => drop(memory.holds.insert(name, version)),
                None => drop(memory.holds.remove(&name)),
            }
        }
        let nonce = memory.nonce.clone();
        self.request(kind, &nonce, None, (&[], &[]))
    }

    fn nack(&mut self, kind: ResourceKind) -> Event {
        let memory = self.of(kind);
        memory.fresh.clear();
        let nonce = memory.nonce.clone();
        self.request(kind, &nonce, Some("no"), (&[], &[]))
    }

    fn configure(&mut self, resources: &[&str]) {
        self.configure_set(set(resources));
    }

    fn configure_set(&mut self, set: ResourceSet) {
        let set = Arc::new(set);
        let mut changed: Vec<(Slot, Arc<str>)> = Vec::new();
        let nothing = ResourceSet::default();
        let before = self.set.clone();
        let before = before.as_deref().unwrap_or(&nothing);
        set.changes_since(before, |slot, name| changed.push((slot, Arc::clone(name))));
        self.stream.on_resources(self.now, &set, &changed, self.now);
        self.set = Some(set);
    }

    fn reopen(&mut self) {
        self.stream = Stream::new(self.now, self.protocol, PACING, Limits::default());
        for memory in self.types.values_mut() {
            (memory.nonce, memory.is_asked) = (String::new(), false);
        }
        if let Some(set) = self.set.clone() {
            self.stream.on_resources(self.now, &set, &[], self.now);
        }
    }

    fn sends(&mut self) -> Vec<String> {
        let mut sent = Vec::new();
        let Some(set) = self.set.clone() else { return sent };
        while let Some(response) = self.stream.next_response(self.now, &set) {
            assert_eq!(response.protocol, self.protocol);
            let mut resources: Vec<_> = response.resources.iter().collect();
            resources.sort_by(|a, b| a.name.cmp(&b.name));
            let text: String =
                resources.iter().map(|found| format!(" {}={}", found.name, found.version)).collect();
            let mut removed: Vec<_> = response.removed.iter().map(|name| format!(" !{name}")).collect();
            removed.sort_unstable();
            sent.push(format!("{}{text}{}", response.kind.short_name(), removed.concat()));
            let memory = self.of(response.kind);
            memory.nonce = response.nonce.as_ref().to_owned();
            memory.last = response.version.as_ref().to_owned();
            let changed = resources.iter().map(|one| (one.name.to_string(), Some(one.version.to_string())));
            memory.fresh =
                changed.chain(response.removed.iter().map(|name| (name.to_string(), None))).collect();
        }
        assert!(!self.stream.has_response(self.now));
        sent
    }

    /// Every resource as the admin API tells it.
    fn shows(&self) -> String {
        let now = self.now;
        let told = self.stream.entries(self.set.as_deref()).into_iter().map(|entry| {
            let one = ResourceConfig::of(now, &entry);
            let status = self.status().into_iter().find(|status| status.r#type == one.r#type).unwrap();
            let state = serde_json::to_value(one.state).unwrap();
            let version = |sign: &str, version: &str| match version {
                "" => String::new(),
                version => format!("{sign}{version}"),
            };
            let is = |is: bool, word: &'static str| if is { word } else { "" };
            assert_eq!(one.missing && !one.name.is_empty(), status.missing.contains(&one.name));
            format!(
                "{} {}{} {}{}{}{}",
                one.r#type,
                one.name,
                version("=", &one.version_sent),
                state.as_str().unwrap(),
                version(" acked=", &one.version_acked),
                is(one.missing, " missing"),
                is(status.deleted.contains(&one.name), " deleted"),
            )
        });
        told.collect::<Vec<_>>().join(" / ")
    }

    /// One statement of a row, for example `ask cds a b` or `sends cds a=1 / eds a=1`.
    fn step(&mut self, step: &str, row: &str) {
        let (verb, rest) = step.split_once(' ').unwrap_or((step, ""));
        let mut words = rest.split(' ').filter(|word| !word.is_empty());
        let mut kind = || ResourceKind::from_name(words.next().unwrap()).unwrap();
        match verb {
            "config" => self.configure(&rest.split(", ").filter(|text| !text.is_empty()).collect::<Vec<_>>()),
            "ask" => {
                let kind = kind();
                let (nonce, names): (Vec<_>, Vec<_>) = words.partition(|word| word.starts_with("nonce="));
                match nonce.first() {
                    Some(nonce) => drop(self.ask_with(kind, &names, &nonce[6..])),
                    None => drop(self.ask(kind, &names)),
                }
            }
            "ack" => drop(self.ack(kind())),
            "nack" => drop(self.nack(kind())),
            "wait" => self.now += Duration::from_millis(rest.parse().unwrap()),
            "reopen" => self.reopen(),
            "sends" => {
                let sent = self.sends().join(" / ");
                assert_eq!(if sent.is_empty() { "nothing" } else { &sent }, rest, "{row}: {step}");
            }
            "shows" => assert_eq!(self.shows(), rest, "{row}: {step}"),
            _ => panic!("{step}"),
        }
    }
}

const PACING: Pacing = Pacing { patience: Duration::from_secs(5), removal_grace: Duration::from_secs(1) };

/// `cds a=1` as a resource, `leds c/a=1` as a member of the collection `c/*`, `leds c/*=` as an empty one.
fn set(resources: &[&str]) -> ResourceSet {
    let mut set = ResourceSet::default();
    let mut collections: BTreeMap<String, Vec<Arc<EncodedResource>>> = BTreeMap::new();
    for text in resources {
        let (kind, rest) = text.split_once(' ').unwrap();
        let (name, version) = rest.split_once('=').unwrap();
        let kind = ResourceKind::from_name(kind).unwrap();
        let bytes = Bytes::copy_from_slice(rest.as_bytes());
        let resource = Arc::new(EncodedResource {
            name: name.into(),
            version: version.into(),
            bytes,
            made_by: Arc::default(),
            rules: None,
        });
        match (kind, glob_of(name)) {
            (ResourceKind::LbEndpoint, Some(glob)) => collections.entry(glob).or_default().push(resource),
            (ResourceKind::LbEndpoint, None) => drop(collections.entry(name.to_owned()).or_default()),
            _ => set.insert(kind, resource),
        }
    }
    for (name, members) in collections {
        set.insert_collection(Arc::new(Collection::new(name.into(), members)));
    }
    set
}

/// A name, and what happens in order:
/// - `config cds a=1, eds a=1`: a new revision, here with a cluster `a` of content 1 and its endpoints;
/// - `ask cds a b`: a request with the latest nonce of the type, under delta with none, or with `nonce=..`; under delta
///   `-a` unsubscribes;
/// - `ack cds`, `nack cds`: the last response is accepted or refused, with the names as before;
/// - `sends cds a=1 !b / eds a=1`: all responses that are due, in order; `!b` is told to be no more;
/// - `shows cds a=2 STALE acked=1`: how every resource stands, with the versions sent and accepted last;
/// - `wait 1000`: milliseconds; `reopen`: a new stream, on which the client presents the versions it accepted.
type Row = (&'static str, &'static str);

fn check(protocol: Protocol, rows: &[Row]) {
    for (name, steps) in rows {
        let mut client = Client::new(protocol);
        steps.split(';').for_each(|step| client.step(step.trim(), name));
    }
}
