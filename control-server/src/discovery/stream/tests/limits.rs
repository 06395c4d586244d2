//! What a stream may not do.

use std::time::{Duration, Instant};

use xds_proto::envoy::config::core::v3::Node;
use xds_proto::envoy::service::discovery::v3::{DeltaDiscoveryRequest, DiscoveryRequest};

use super::{Client, PACING};
use crate::discovery::stream::{Event, Limits, Outcome, Protocol, Refusal, Request, Stream};
use crate::resources::ResourceKind::{self, Cluster, Endpoints};

const LIMITS: Limits = Limits {
    names: 3,
    name_bytes: 30,
    held: 100,
    reason_bytes: 100,
    node_bytes: 20,
    burst: 20,
    per_second: 1,
    first_request: Duration::from_secs(30),
};

fn client(protocol: Protocol) -> Client {
    let mut client = Client::new(protocol);
    client.stream = Stream::new(client.now, protocol, PACING, LIMITS);
    client
}

fn request(protocol: Protocol, kind: ResourceKind, names: &[&str]) -> Request {
    let (type_url, names) = (kind.type_url().to_owned(), names.iter().map(ToString::to_string).collect());
    match protocol {
        Protocol::Sotw => {
            DiscoveryRequest { type_url, resource_names: names, ..DiscoveryRequest::default() }.into()
        }
        Protocol::Delta => DeltaDiscoveryRequest {
            type_url,
            resource_names_subscribe: names,
            ..DeltaDiscoveryRequest::default()
        }
        .into(),
    }
}

#[test]
fn names_are_bounded_in_number_and_length() {
    for protocol in [Protocol::Sotw, Protocol::Delta] {
        let mut one = client(protocol);
        let now = one.now;
        let mut ask = |kind, names: &[&str]| one.stream.on_request(now, request(protocol, kind, names), None);
        assert!(ask(Endpoints, &["a", "b", "c"]).is_ok());
        let refusal = ask(Endpoints, &["a", "b", "c", "d"]).unwrap_err();
        assert_eq!(refusal, Refusal::Names { kind: Endpoints, found: 4, limit: 3 });
        assert!(refusal.to_string().contains("at most 3 per type and stream"), "{refusal}");

        let mut two = client(protocol);
        let mut ask = |kind, names: &[&str]| two.stream.on_request(now, request(protocol, kind, names), None);
        assert!(ask(Endpoints, &["0123456789", "123456789"]).is_ok());
        let refusal = ask(Cluster, &["0123456789", "0123"]).unwrap_err();
        assert_eq!(refusal, Refusal::NameBytes { found: 33, limit: 30 }, "of all types together");
    }
}

#[test]
fn names_that_are_unsubscribed_do_not_count() {
    let mut client = client(Protocol::Delta);
    for index in 0..10 {
        client.now += Duration::from_secs(2);
        client.ask(Endpoints, &[&format!("name-{index}-and-more")]);
        client.ask(Endpoints, &[&format!("-name-{index}-and-more")]);
    }
}

#[test]
fn names_beyond_the_limit_are_not_entered() {
    for protocol in [Protocol::Sotw, Protocol::Delta] {
        let mut client = client(protocol);
        let now = client.now;
        let four = request(protocol, Endpoints, &["a", "b", "c", "d"]);
        client.stream.on_request(now, four, None).unwrap_err();
        assert!(client.stream.interests().is_empty() && client.stream.take_interests().is_empty());
        let long = request(protocol, Endpoints, &[&"a".repeat(31)]);
        client.stream.on_request(now, long, None).unwrap_err();
        assert!(client.stream.interests().is_empty() && client.stream.take_interests().is_empty());
    }
}

#[test]
fn delta_request_that_replaces_names_counts_only_the_new_ones() {
    let mut client = client(Protocol::Delta);
    client.ask(Endpoints, &["a", "b", "c"]);
    let swap = DeltaDiscoveryRequest {
        type_url: Endpoints.type_url().to_owned(),
        resource_names_subscribe: ["c", "d", "d", "a"].map(str::to_owned).to_vec(),
        resource_names_unsubscribe: ["a", "b", "x"].map(str::to_owned).to_vec(),
        ..DeltaDiscoveryRequest::default()
    };
    client.stream.on_request(client.now, swap.into(), None).unwrap();
    assert_eq!(client.stream.interests().len(), 3);
}

#[test]
fn requests_cost_in_proportion_to_their_names() {
    let limits = Limits { burst: 100, ..Limits::default() };
    let names: Vec<String> = (0..5_000).map(|index| format!("name-{index}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut stream = Stream::new(Instant::now(), Protocol::Sotw, PACING, limits);
    let now = Instant::now();
    stream.on_request(now, request(Protocol::Sotw, Endpoints, &names), None).unwrap();
    stream.on_request(now, request(Protocol::Sotw, Endpoints, &names), None).unwrap();
    let refusal = stream.on_request(now, request(Protocol::Sotw, Endpoints, &[]), None).unwrap_err();
    assert!(matches!(refusal, Refusal::Requests { .. }), "{refusal}");
}

#[test]
fn requests_are_rate_limited_except_acks() {
    let mut client = client(Protocol::Sotw);
    client.configure(&["cds a=0"]);
    client.ask(Cluster, &["a"]);
    for revision in 1..100 {
        assert_eq!(client.sends().len(), 1);
        client.ack(Cluster);
        client.configure(&[&format!("cds a={revision}")]);
    }
    let ask = |client: &mut Client, now| {
        client.stream.on_request(now, request(Protocol::Sotw, Cluster, &["a"]), None)
    };
    let now = client.now;
    assert_eq!((0..1000).take_while(|_| ask(&mut client, now).is_ok()).count(), 19);
    let refusal = ask(&mut client, now).unwrap_err();
    assert_eq!(refusal, Refusal::Requests { burst: 20, per_second: 1 });
    let later = now + Duration::from_secs(5);
    assert_eq!(
        (0..1000).take_while(|_| ask(&mut client, later).is_ok()).count(),
        3,
        "less what was overdrawn"
    );
}

#[test]
fn node_is_bounded() {
    let with = |id: &str| DiscoveryRequest {
        node: Some(Node { id: id.to_owned(), ..Node::default() }),
        type_url: Cluster.type_url().to_owned(),
        ..DiscoveryRequest::default()
    };
    let mut one = client(Protocol::Sotw);
    assert!(one.stream.on_request(one.now, with("0123456789abcdefgh").into(), None).is_ok());
    assert_eq!(one.stream.node().map(|node| &*node.id), Some("0123456789abcdefgh"));
    let mut other = client(Protocol::Sotw);
    let refusal = other.stream.on_request(other.now, with("0123456789abcdefghi").into(), None).unwrap_err();
    assert_eq!(refusal, Refusal::Node { found: 21, limit: 20 });
    assert!(refusal.to_string().contains("has 21 bytes, at most 20 are allowed; shorten"), "{refusal}");
}

/// Each makes the server send everything once more, at the speed at which the client answers.
#[test]
fn acks_that_subscribe_again_are_bounded() {
    let mut client = client(Protocol::Delta);
    client.configure(&["eds a=1"]);
    client.ask(Endpoints, &["a"]);
    let refusal = loop {
        assert_eq!(client.sends().len(), 1);
        let ack = DeltaDiscoveryRequest {
            type_url: Endpoints.type_url().to_owned(),
            response_nonce: client.of(Endpoints).nonce.clone(),
            resource_names_subscribe: vec!["a".to_owned()],
            ..DeltaDiscoveryRequest::default()
        };
        match client.stream.on_request(client.now, ack.into(), client.set.as_deref()) {
            Ok(event) => assert!(matches!(event, Event::Request(_, Outcome::Acked { .. }))),
            Err(refusal) => break refusal,
        }
    };
    assert_eq!(refusal, Refusal::Requests { burst: 20, per_second: 1 });
}

#[test]
fn loop_of_refusals_is_bounded() {
    let mut client = client(Protocol::Delta);
    client.configure(&["eds a=1"]);
    let mut refused = 0;
    let refusal = loop {
        let asked = client.stream.on_request(
            client.now,
            request(Protocol::Delta, Endpoints, &["a"]),
            client.set.as_deref(),
        );
        if let Err(refusal) = asked {
            break refusal;
        }
        client.sends();
        let nonce = client.of(Endpoints).nonce.clone();
        let nack = DeltaDiscoveryRequest {
            type_url: Endpoints.type_url().to_owned(),
            response_nonce: nonce,
            error_detail: Some(super::Status::default()),
            ..DeltaDiscoveryRequest::default()
        };
        match client.stream.on_request(client.now, nack.into(), client.set.as_deref()) {
            Ok(event) => assert!(matches!(event, Event::Request(_, Outcome::Nacked { .. }))),
            Err(refusal) => break refusal,
        }
        refused += 1;
    };
    assert_eq!(refusal, Refusal::Requests { burst: 20, per_second: 1 });
    assert_eq!(refused, 1);
}

#[test]
fn silent_client_is_disconnected() {
    let now = Instant::now();
    let mut stream = Stream::new(now, Protocol::Delta, PACING, LIMITS);
    assert_eq!(stream.overdue(now), None);
    let deadline = stream.next_deadline(now).unwrap();
    assert_eq!(stream.overdue(deadline), Some(Refusal::Silent { limit: Duration::from_secs(30) }));
    stream.on_request(now, request(Protocol::Delta, Endpoints, &[]), None).unwrap();
    assert_eq!((stream.next_deadline(now), stream.overdue(deadline)), (None, None));
}
