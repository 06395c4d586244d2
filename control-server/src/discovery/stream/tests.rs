//! The protocol as tables: what a client and the configuration do, and what the stream answers.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use envoy_types::pb::envoy::config::core::v3::Node;
use envoy_types::pb::envoy::service::discovery::v3::DiscoveryRequest;
use envoy_types::pb::google::rpc::Status;

use crate::discovery::SyncState;
use crate::discovery::cache::Snapshot;
use crate::discovery::exchange::Outcome;
use crate::resources::{EncodedResource, ResourceKind, ResourceSet};

use super::{Event, Pacing, Stream};

use ResourceKind::{Cluster as Cds, Endpoints as Eds, Listener as Lds, Route as Rds};
/// A client that remembers what gRPC clients remember.
struct Client {
    now: Instant,
    stream: Stream,
    snapshot: Option<Snapshot>,
    names: [Vec<String>; 4],
    nonce: [String; 4],
    version: [String; 4],
    last: [String; 4],
}

impl Client {
    fn new() -> Self {
        let now = Instant::now();
        let stream = Stream::new(now, PACING);
        let (names, nonce, version, last) = Default::default();
        Self { now, stream, snapshot: None, names, nonce, version, last }
    }

    fn request(&mut self, kind: ResourceKind, nonce: String, refusal: Option<&str>) -> Event {
        let refusal = refusal.map(|message| Status { code: 3, message: message.to_owned(), details: vec![] });
        let mut request = DiscoveryRequest {
            type_url: kind.type_url().to_owned(),
            resource_names: self.names[kind as usize].clone(),
            version_info: self.version[kind as usize].clone(),
            response_nonce: nonce,
            error_detail: refusal,
            ..DiscoveryRequest::default()
        };
        self.stream.on_request(self.now, &mut request)
    }

    fn ask(&mut self, kind: ResourceKind, names: &[&str]) -> Event {
        self.names[kind as usize] = names.iter().map(ToString::to_string).collect();
        self.request(kind, self.nonce[kind as usize].clone(), None)
    }

    fn ack(&mut self, kind: ResourceKind) -> Event {
        self.version[kind as usize] = self.last[kind as usize].clone();
        self.request(kind, self.nonce[kind as usize].clone(), None)
    }

    fn nack(&mut self, kind: ResourceKind) -> Event {
        self.request(kind, self.nonce[kind as usize].clone(), Some("no"))
    }

    fn configure(&mut self, resources: &[&str]) {
        let snapshot = Snapshot { set: Arc::new(set(resources)), published: self.now };
        self.snapshot = Some(snapshot.clone());
        self.stream.on_resources(self.now, snapshot);
    }

    fn reopen(&mut self) {
        self.stream = Stream::new(self.now, PACING);
        self.nonce = Default::default();
        if let Some(snapshot) = self.snapshot.clone() {
            self.stream.on_resources(self.now, snapshot);
        }
    }

    fn sends(&mut self) -> Vec<String> {
        let mut sent = Vec::new();
        while let Some(response) = self.stream.next_response(self.now) {
            let kind = response.kind as usize;
            self.nonce[kind] = response.nonce.as_ref().to_owned();
            self.last[kind] = response.version.as_ref().to_owned();
            let mut resources: Vec<_> = response.resources.iter().collect();
            resources.sort_by(|a, b| a.name.cmp(&b.name));
            let text: Vec<_> =
                resources.iter().map(|found| format!(" {}={}", found.name, found.version)).collect();
            sent.push(format!("{}{}", response.kind.short_name(), text.concat()));
        }
        assert!(!self.stream.has_response(self.now));
        sent
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
                let latest = self.nonce[kind as usize].clone();
                self.names[kind as usize] = names.into_iter().map(str::to_owned).collect();
                self.request(kind, nonce.first().map_or(latest, |nonce| nonce[6..].to_owned()), None);
            }
            "ack" => drop(self.ack(kind())),
            "nack" => drop(self.nack(kind())),
            "wait" => self.now += Duration::from_millis(rest.parse().unwrap()),
            "reopen" => self.reopen(),
            "sends" => {
                let sent = self.sends().join(" / ");
                assert_eq!(if sent.is_empty() { "nothing" } else { &sent }, rest, "{row}: {step}");
            }
            _ => panic!("{step}"),
        }
    }
}

const PACING: Pacing = Pacing { patience: Duration::from_secs(5), removal_grace: Duration::from_secs(1) };

/// `cds a=1` as a resource.
fn set(resources: &[&str]) -> ResourceSet {
    let mut set = ResourceSet::default();
    for text in resources {
        let (kind, rest) = text.split_once(' ').unwrap();
        let (name, version) = rest.split_once('=').unwrap();
        let kind = ResourceKind::from_name(kind).unwrap();
        let bytes = Bytes::copy_from_slice(rest.as_bytes());
        let resource = EncodedResource { name: name.into(), version: version.into(), bytes };
        set.resources.insert((kind, resource.name.clone()), Arc::new(resource));
    }
    set
}

/// A name, and what happens in order:
/// - `config cds a=1, eds a=1`: a new revision, here with a cluster `a` of content 1 and its endpoints;
/// - `ask cds a b`: a request with the latest nonce of the type, or with `nonce=..`;
/// - `ack cds`, `nack cds`: the last response is accepted or refused, with the names as before;
/// - `sends cds a=1 / eds a=1`: all responses that are due, in order;
/// - `wait 1000`: milliseconds; `reopen`: a new stream, on which the client presents the versions it accepted.
type Row = (&'static str, &'static str);

fn check(rows: &[Row]) {
    for (name, steps) in rows {
        let mut client = Client::new();
        steps.split(';').for_each(|step| client.step(step.trim(), name));
    }
}

/// Proves: CS-01.
#[test]
fn stale_nonces_are_ignored() {
    check(&[
        (
            "a request with an old nonce changes nothing",
            "config eds a=1, eds b=1; ask eds a; sends eds a=1;
             ack eds; config eds a=2, eds b=1; sends eds a=2;
             ask eds a b nonce=1; sends nothing;
             ack eds; sends eds b=1",
        ),
        (
            "an empty nonce is an initial request, even while a response is on its way",
            "config eds a=1, eds b=1; ask eds a; sends eds a=1;
             ask eds a b nonce=; sends nothing;
             ack eds; sends eds b=1",
        ),
        (
            "the first request of a stream may carry a nonce of an earlier one",
            "config eds a=1; ask eds a nonce=77; sends eds a=1",
        ),
    ]);
    let mut client = Client::new();
    client.configure(&["cds a=1", "eds a=1", "lds a=1"]);
    for kind in [Cds, Eds, Lds] {
        client.ask(kind, &["a"]);
    }
    let nonces: std::collections::HashSet<_> = std::iter::from_fn(|| client.stream.next_response(client.now))
        .map(|response| response.nonce)
        .collect();
    assert_eq!(nonces.len(), 3, "nonces are unique on a stream, across types");
    client.nonce[Cds as usize] = "0".to_owned();
    assert_eq!(client.nack(Cds), Event::Request(Cds, Outcome::Stale), "not taken for a NACK");
}

/// Proves: CS-02.
#[test]
fn error_detail_alone_makes_a_nack() {
    let mut client = Client::new();
    client.configure(&["cds a=1"]);
    client.ask(Cds, &["a"]);
    client.sends();
    client.version[Cds as usize] = client.last[Cds as usize].clone();
    let refused = Event::Request(Cds, Outcome::Nacked { reason: "no".to_owned() });
    assert_eq!(client.nack(Cds), refused, "with the version of the response");
    assert_eq!(client.stream.status(client.now)[0].state, SyncState::Nacked);
    assert_eq!(client.stream.status(client.now)[0].reason, "no");
    client.configure(&["cds a=2"]);
    client.sends();
    client.last[Cds as usize] = "some other version".to_owned();
    assert!(matches!(client.ack(Cds), Event::Request(Cds, Outcome::Acked { .. })), "whatever the version");
    assert_eq!(client.stream.status(client.now)[0].state, SyncState::Synced);
}

/// Proves: CS-03.
#[test]
fn newly_subscribed_names_are_sent_again() {
    check(&[
        (
            "unsubscribed and subscribed again",
            "config rds a=1; ask rds a; sends rds a=1;
             ack rds; ask rds; sends nothing;
             ask rds a; sends rds a=1",
        ),
        (
            "a current version on a new stream",
            "config cds a=1, eds a=1; ask cds a; ask eds a; sends cds a=1 / eds a=1;
             ack cds; ack eds; reopen; ask cds a; ask eds a; sends cds a=1 / eds a=1",
        ),
        (
            "one more name: only that one for a partial type",
            "config eds a=1, eds b=1; ask eds a; sends eds a=1;
             ack eds; ask eds a b; sends eds b=1",
        ),
    ]);
}

/// Proves: CS-04.
#[test]
fn full_state_types_are_sent_whole_and_others_in_part() {
    check(&[
        (
            "a change among many",
            "config cds a=1, cds b=1, cds c=1, eds a=1, eds b=1, lds a=1, lds b=1, rds a=1, rds b=1; ask cds a b; ask eds a b; ask lds a b; ask rds a b; sends cds a=1 b=1 / eds a=1 b=1 / lds a=1 b=1 / rds a=1 b=1;
             ack cds; ack eds; ack lds; ack rds; config cds a=2, cds b=1, cds c=2, eds a=2, eds b=1, lds a=2, lds b=1, rds a=2, rds b=1; sends cds a=2 b=1 / eds a=2 / lds a=2 b=1 / rds a=2",
        ),
        (
            "one more name brings the others along",
            "config cds a=1, cds b=1; ask cds a; sends cds a=1;
             ack cds; ask cds a b; sends cds a=1 b=1",
        ),
        (
            "a resource that was not asked for is not sent",
            "config cds a=1; ask cds a; sends cds a=1;
             ack cds; config cds a=1, cds z=1; sends nothing",
        ),
    ]);
}

/// Proves: CS-05.
#[test]
fn unchanged_content_is_never_sent_again() {
    check(&[
        (
            "after an ACK",
            "config eds a=1; ask eds a; sends eds a=1;
             ack eds; sends nothing;
             ack eds; sends nothing;
             config eds a=1; sends nothing",
        ),
        (
            "after a NACK, until the content changes",
            "config cds a=1; ask cds a; sends cds a=1;
             nack cds; sends nothing;
             wait 60000; sends nothing;
             nack cds; config cds a=1, eds a=1; sends nothing;
             config cds a=2; sends cds a=2",
        ),
        (
            "a name that goes and comes back unchanged, partial type",
            "config eds a=1; ask eds a; sends eds a=1;
             ack eds; config; wait 60000; sends nothing;
             config eds a=1; sends nothing",
        ),
    ]);
}

/// Proves: CS-06.
#[test]
fn absent_resources_are_sent_when_they_appear() {
    let rows: [Row; 2] = [
        (
            "full state",
            "config; ask lds a; sends nothing;
             config lds z=1; sends nothing;
             config lds a=1; sends lds a=1",
        ),
        (
            "partial, beside one that exists",
            "config eds b=1; ask eds a b; sends eds b=1;
             ack eds; config eds a=1, eds b=1; sends eds a=1",
        ),
    ];
    check(&rows);
    let mut client = Client::new();
    client.configure(&[]);
    client.ask(Lds, &["a"]);
    let status = &client.stream.status(client.now)[0];
    assert_eq!((status.state, &status.missing[..]), (SyncState::Synced, &["a".to_owned()][..]));
}

#[test]
fn wildcards_are_answered() {
    check(&[
        (
            "everything, and what comes later",
            "config cds a=1, cds b=1; ask cds; sends cds a=1 b=1;
             ack cds; config cds a=1, cds b=1, cds c=1; sends cds a=1 b=1 c=1",
        ),
        (
            "even if there is nothing",
            "config; ask lds *; sends lds;
             ack lds; sends nothing",
        ),
        (
            "even if all of it is held by name",
            "config cds a=1; ask cds a; sends cds a=1;
             ack cds; ask cds a *; sends cds a=1;
             ack cds; ask cds a; sends nothing;
             config cds a=1, cds b=1; sends nothing",
        ),
        ("not for EDS and RDS", "config eds a=1, rds a=1; ask eds; ask rds *; sends nothing"),
    ]);
}

/// Proves: CS-09.
#[test]
fn make_before_break() {
    check(&[
        (
            "one revision, all types: in order, whatever the order of the subscriptions",
            "config cds a=1, eds a=1, lds a=1, rds a=1; ask rds a; ask lds a; ask eds a; ask cds a; sends cds a=1 / eds a=1 / lds a=1 / rds a=1",
        ),
        (
            "a type that waits for an answer holds back the later ones",
            "config cds a=1, rds a=1; ask cds a; ask rds a; sends cds a=1 / rds a=1;
             ack rds; config cds a=2, rds a=2; sends nothing;
             ack cds; sends cds a=2 / rds a=2",
        ),
        (
            "but not for ever",
            "config cds a=1, rds a=1; ask cds a; ask rds a; sends cds a=1 / rds a=1;
             ack rds; config cds a=2, rds a=2; wait 4999; sends nothing;
             wait 1; sends rds a=2",
        ),
        (
            "the old cluster stays while the new route is on its way",
            "config cds old=1, rds r=1; ask cds old; ask rds r; sends cds old=1 / rds r=1;
             ack cds; ack rds; config cds new=1, rds r=2; sends rds r=2;
             ack rds; ask cds new old; sends cds new=1 old=1;
             ack cds; ask cds new; wait 60000; sends nothing",
        ),
        (
            "a cluster that is still wanted is removed last",
            "config cds old=1, lds l=1, rds r=1; ask cds *; ask lds l; ask rds r; sends cds old=1 / lds l=1 / rds r=1;
             ack cds; ack lds; ack rds; config cds new=1, rds r=2; sends cds new=1 old=1 / rds r=2;
             ack cds; wait 2000; sends nothing;
             ack rds; wait 999; sends nothing;
             wait 1; sends lds; ack lds; wait 1000; sends cds new=1",
        ),
        (
            "a client that never answers does not keep what is gone for ever",
            "config cds old=1, rds r=1; ask cds old; ask rds r; sends cds old=1 / rds r=1;
             ack cds; config; wait 4999; sends nothing;
             wait 1; sends cds",
        ),
    ]);
}

#[test]
fn removals_follow_what_the_client_holds() {
    check(&[
        (
            "back before the removal was due",
            "config lds a=1; ask lds a; sends lds a=1;
             ack lds; config; wait 500; config lds a=1; wait 60000; sends nothing",
        ),
        (
            "deleted while the client was away",
            "config lds a=1, lds b=1; ask lds a b; sends lds a=1 b=1;
             ack lds; config; reopen; ask lds a b; sends nothing;
             wait 1000; sends lds;
             ack lds; wait 60000; sends nothing",
        ),
        ("never existed: nothing to remove", "config; ask lds a; wait 60000; sends nothing"),
        (
            "each has its own time",
            "config cds a=1, cds b=1; ask cds a b; sends cds a=1 b=1;
             ack cds; config cds b=1; wait 600; config; wait 400; sends cds b=1;
             ack cds; wait 1000; sends cds",
        ),
    ]);
}

#[test]
fn slow_client_gets_the_latest_state_once() {
    check(&[(
        "hundred revisions while one is unanswered",
        "config eds a=1, eds b=1; ask eds a b; sends eds a=1 b=1;
             config eds a=2, eds b=1; config eds a=3, eds b=1; sends nothing;
             config eds a=4, eds b=2; sends nothing;
             ack eds; sends eds a=4 b=2;
             config eds a=5, eds b=2; config eds a=4, eds b=2; ack eds; sends nothing",
    )]);
}

#[test]
fn nothing_is_sent_before_there_are_resources() {
    check(&[(
        "streams wait",
        "ask cds *; ask eds a; wait 60000; sends nothing;
             config eds a=1; sends cds / eds a=1",
    )]);
    let mut client = Client::new();
    client.ask(Eds, &["a"]);
    assert_eq!(client.stream.status(client.now)[0].state, SyncState::Pending);
}

/// Proves: CS-10.
#[test]
fn node_is_read_once() {
    let mut stream = Stream::new(Instant::now(), PACING);
    let with_node = |id: &str| DiscoveryRequest {
        node: Some(Node { id: id.to_owned(), ..Node::default() }),
        type_url: Lds.type_url().to_owned(),
        ..DiscoveryRequest::default()
    };
    stream.on_request(Instant::now(), &mut with_node("first"));
    stream.on_request(Instant::now(), &mut with_node("second"));
    assert_eq!(stream.node().unwrap().id, "first");
    let mut stream = Stream::new(Instant::now(), PACING);
    stream.on_request(Instant::now(), &mut DiscoveryRequest::default());
    stream.on_request(Instant::now(), &mut with_node("second"));
    assert_eq!(stream.node(), None);
}

#[test]
fn unknown_types_are_told_once_and_bounded() {
    let mut stream = Stream::new(Instant::now(), PACING);
    let now = Instant::now();
    let mut ask = |type_url: &str| {
        let mut request = DiscoveryRequest { type_url: type_url.to_owned(), ..DiscoveryRequest::default() };
        stream.on_request(now, &mut request)
    };
    assert_eq!(ask("x"), Event::UnknownType("x".to_owned()));
    assert_eq!(ask("x"), Event::Nothing);
    for index in 0..1000 {
        ask(&format!("{index}{}", "y".repeat(1000)));
    }
    assert!(stream.unknown_types().len() <= 16);
    assert!(stream.unknown_types().iter().all(|type_url| type_url.len() <= 256));
    assert!(!stream.has_response(now));
}

#[test]
fn versions_survive_a_restart() {
    let versions: Vec<_> = (0..2)
        .map(|_| {
            let mut client = Client::new();
            client.configure(&["cds a=1", "cds b=1"]);
            client.ask(Cds, &["a", "b"]);
            client.sends();
            client.last[Cds as usize].clone()
        })
        .collect();
    assert_eq!(versions[0], versions[1]);
    let mut client = Client::new();
    client.configure(&["cds a=1", "cds b=2"]);
    client.ask(Cds, &["a", "b"]);
    client.sends();
    assert_ne!(client.last[Cds as usize], versions[0]);
}

#[test]
fn deadlines_lie_ahead_and_lead_to_responses() {
    let mut client = Client::new();
    client.configure(&["cds a=1", "rds a=1"]);
    client.ask(Cds, &["a"]);
    client.ask(Rds, &["a"]);
    client.sends();
    client.ack(Rds);
    client.configure(&["cds a=2"]);
    client.now += Duration::from_secs(60);
    assert_eq!(client.stream.next_deadline(client.now), None, "only an answer helps");
    client.ack(Cds);
    client.sends();
    client.ack(Cds);
    client.configure(&[]);
    while let Some(deadline) = client.stream.next_deadline(client.now) {
        assert!(deadline > client.now);
        client.now = deadline;
        assert_eq!(client.sends(), ["cds"]);
    }
    client.ack(Cds);
    assert_eq!(client.stream.next_deadline(client.now), None);
}
