//! The protocol's rules, one scenario per test, on virtual time.

mod collections;
mod data_errors;
mod delta;
mod fallback;
mod last_good;
mod limits;
mod links;
mod many_servers;
mod recovery;
mod simulation;
mod sotw;
mod status;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mesh_core::config::Name;
use rand::SeedableRng;
use rand::rngs::StdRng;

use super::*;

const CDS: ResourceKind = ResourceKind { type_url: "type.googleapis.com/x.Cluster", full_state: true };
const EDS: ResourceKind = ResourceKind { type_url: "type.googleapis.com/x.Endpoints", full_state: false };

const ONE: ServerId = ServerId(0);
const TWO: ServerId = ServerId(1);

/// One resource of a response: `Ok(value)` decodes, `Err(reason)` does not.
type Sent<'a> = (&'a str, Result<u64, &'a str>);

fn response(kind: ResourceKind, version: &str, nonce: &str, resources: &[Sent<'_>]) -> Response {
    let resources = resources.iter().map(|(name, value)| match value {
        Ok(value) => Ok(Received {
            name: (*name).into(),
            aliases: Vec::new(),
            version: None,
            ttl: None,
            resource: Arc::new(*value),
            bytes: value.to_be_bytes().to_vec().into(),
        }),
        Err(reason) => {
            let name = (!name.is_empty()).then(|| (*name).into());
            Err(Rejected { name, reason: (*reason).to_owned() })
        }
    });
    Response {
        type_url: kind.type_url.to_owned(),
        version: version.to_owned(),
        nonce: nonce.to_owned(),
        resources: resources.collect(),
        ..Response::default()
    }
}

/// A client with a clock, whose inputs and outputs are written short.
struct Client {
    ads: AdsState,
    open: BTreeSet<ServerId>,
    now: Instant,
    rng: StdRng,
}

impl Client {
    fn new(data_errors: DataErrors) -> Self {
        Self::of_server(ServerSettings { data_errors, ..ServerSettings::new("primary") })
    }

    fn of_server(server: ServerSettings) -> Self {
        let mut settings = Settings::one_server(server);
        settings.authorities.insert("known".into(), AuthoritySettings::new([ONE]));
        Self::with(settings)
    }

    fn with(settings: Settings) -> Self {
        Self {
            ads: AdsState::new(settings),
            open: BTreeSet::new(),
            now: Instant::now(),
            rng: StdRng::seed_from_u64(1),
        }
    }

    /// Watches these names, with the stream open and the requests sent.
    fn watching(kind: ResourceKind, names: &[&str]) -> Self {
        Self::watching_with(DataErrors::Ambient, kind, names)
    }

    fn watching_with(data_errors: DataErrors, kind: ResourceKind, names: &[&str]) -> Self {
        let mut client = Self::new(data_errors);
        names.iter().for_each(|name| client.watch(kind, name));
        client.open();
        client.sent();
        client
    }

    fn watch(&mut self, kind: ResourceKind, name: &str) {
        self.ads.watch(kind, &name.into());
    }

    fn unwatch(&mut self, kind: ResourceKind, name: &str) {
        self.ads.unwatch(kind.type_url, &name.into());
    }

    fn open(&mut self) {
        self.open_at(ONE);
    }

    fn open_at(&mut self, server: ServerId) {
        assert!(self.ads.should_open(server), "{server:?}");
        self.ads.on_opening(server, self.now);
        self.ads.on_stream_opened(server);
        self.open.insert(server);
    }

    fn close(&mut self, reason: &str) {
        let end = StreamEnd::Closed { reason: reason.to_owned() };
        self.open.remove(&ONE);
        self.ads.on_stream_ended(ONE, self.now, end, &mut self.rng);
    }

    /// The next attempt to open a stream fails, as soon as there is one.
    fn refuse_at(&mut self, server: ServerId) {
        while !self.ads.should_open(server) {
            let deadline = self.ads.next_deadline().unwrap();
            self.pass(deadline - self.now);
        }
        self.ads.on_opening(server, self.now);
        self.ads.on_open_failed(server, self.now, "refused", &mut self.rng);
    }

    /// Closes the streams that the state wants closed; returns their servers.
    fn close_unwanted(&mut self) -> Vec<usize> {
        let closed: Vec<_> =
            self.open.iter().copied().filter(|server| self.ads.should_close(*server)).collect();
        self.open.retain(|server| !closed.contains(server));
        closed.iter().for_each(|server| self.ads.on_stream_dropped(*server));
        closed.into_iter().map(|server| server.0).collect()
    }

    fn respond(&mut self, kind: ResourceKind, version: &str, nonce: &str, resources: &[Sent<'_>]) {
        self.respond_at(ONE, kind, version, nonce, resources);
    }

    fn respond_at(
        &mut self,
        server: ServerId,
        kind: ResourceKind,
        version: &str,
        nonce: &str,
        resources: &[Sent<'_>],
    ) {
        self.ads.on_response(server, self.now, response(kind, version, nonce, resources));
    }

    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(deadline) = self.ads.next_deadline().filter(|deadline| *deadline <= end) {
            self.now = deadline;
            self.ads.on_deadline(deadline, &mut self.rng);
        }
        self.now = end;
    }

    fn sent(&mut self) -> Vec<String> {
        self.sent_at(ONE)
    }

    /// All requests that are due. State of the world: `[names] version/nonce`; incremental: `+[names] -[names]
    /// {name=version} nonce`, what is empty left out; then `!` and the error, `+node`.
    fn sent_at(&mut self, server: ServerId) -> Vec<String> {
        let mut sent = Vec::new();
        while let Some(request) = self.ads.poll_request(server, self.now) {
            sent.push(written(request));
        }
        sent
    }

    /// The names of all events; `*` for an outage.
    fn told(&mut self) -> Vec<String> {
        std::iter::from_fn(|| self.ads.poll_event())
            .map(|event| match event {
                Event::Resource { name, .. } => name.to_string(),
                Event::Members { collection, changed, .. } => format!("{collection}: {}", changed.join(",")),
                Event::Outage => "*".to_owned(),
                Event::Deletion { name, status, .. } => format!("{name}: {status:?}"),
            })
            .collect()
    }

    fn view(&self, kind: ResourceKind, name: &str) -> String {
        show(&self.ads.view(kind.type_url, &name.into()))
    }

    fn state(&self, name: &str) -> (ResourceState, Name) {
        let status = self.ads.resources().into_iter().find(|status| &*status.name == name).unwrap();
        (status.state, status.version)
    }
}

/// The value, or `!` and why there is none; then `~` and the ambient error.
fn show(view: &View) -> String {
    let value = match &view.value {
        None => "-".to_owned(),
        Some(Ok(any)) => any.downcast_ref::<u64>().unwrap().to_string(),
        Some(Err(problem)) => format!("!{problem}"),
    };
    match &view.ambient {
        Some(ambient) => format!("{value} ~{ambient}"),
        None => value,
    }
}

fn written(request: Request) -> String {
    let Request { nonce, error, with_node, interest, .. } = request;
    let mut parts = match interest {
        Interest::Full { names, version } => vec![format!("[{}] {version}/{nonce}", names.join(","))],
        Interest::Change { subscribe, unsubscribe, initial_versions } => {
            let held: Vec<_> =
                initial_versions.iter().map(|(name, version)| format!("{name}={version}")).collect();
            let list =
                |sign, names: Vec<Name>| (!names.is_empty()).then(|| format!("{sign}[{}]", names.join(",")));
            let held = (!held.is_empty()).then(|| format!("{{{}}}", held.join(",")));
            let nonce = (!nonce.is_empty()).then_some(nonce);
            [list('+', subscribe), list('-', unsubscribe), held, nonce].into_iter().flatten().collect()
        }
    };
    parts.extend(error.map(|error| format!("!{error}")));
    parts.extend(with_node.then(|| "+node".to_owned()));
    parts.join(" ")
}

fn none() -> Vec<String> {
    Vec::new()
}

const SECOND: Duration = Duration::from_secs(1);
