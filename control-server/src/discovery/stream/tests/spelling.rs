//! Case D11: listeners are named after hosts, which are compared without case.

use prost::Message as _;
use xds_proto::envoy::config::listener::v3::{ApiListener, Listener};
use xds_proto::google::protobuf::Any;

use super::*;
use crate::discovery::interest::{Interest, InterestChange};

const ASKED: &str = "Greeter.Example.com:50051";
const CANONICAL: &str = "greeter.example.com:50051";

/// The listeners of these names, which differ by `version`.
fn listeners(names: &[&str], version: &str) -> ResourceSet {
    let mut set = ResourceSet::default();
    for name in names {
        let any = Any { type_url: version.to_owned(), value: Vec::new() };
        let api_listener = Some(ApiListener { api_listener: Some(any) });
        let listener = Listener { name: (*name).to_owned(), api_listener, ..Listener::default() };
        let encoded = EncodedResource::new((*name).into(), listener.encode_to_vec().into());
        set.insert(ResourceKind::Listener, Arc::new(encoded));
    }
    set
}

/// What the next response has: the names of its resources, with the version of each, and of removed ones.
fn sends(client: &mut Client) -> Option<Vec<String>> {
    let set = client.set.clone()?;
    let response = client.stream.next_response(client.now, &set)?;
    let mut told: Vec<String> = Vec::new();
    for one in &response.resources {
        let listener = Listener::decode(one.bytes.clone()).unwrap();
        assert_eq!(listener.name, *one.name, "the message carries the resource's name");
        let version = listener.api_listener.unwrap().api_listener.unwrap().type_url;
        told.push(format!("{}={version}", one.name));
    }
    told.extend(response.removed.iter().map(|name| format!("!{name}")));
    let memory = client.of(ResourceKind::Listener);
    (memory.nonce, memory.last) = (response.nonce.to_string(), response.version.to_string());
    client.ack(ResourceKind::Listener);
    Some(told)
}

fn some(told: &[&str]) -> Option<Vec<String>> {
    Some(told.iter().map(|one| (*one).to_owned()).collect())
}

#[test]
fn listener_is_served_under_the_spelling_that_was_asked_for() {
    for protocol in [Protocol::Sotw, Protocol::Delta] {
        let mut client = Client::new(protocol);
        client.configure_set(listeners(&[CANONICAL, "other:1"], "a"));
        client.ask(ResourceKind::Listener, &[ASKED, CANONICAL]);
        let both = [format!("{ASKED}=a"), format!("{CANONICAL}=a")];
        assert_eq!(sends(&mut client), Some(both.to_vec()), "{protocol:?}");
        let status = client.status().remove(0);
        assert_eq!((status.missing.len(), status.names.len()), (0, 2));

        client.configure_set(listeners(&[CANONICAL, "other:1"], "b"));
        let both = [format!("{ASKED}=b"), format!("{CANONICAL}=b")];
        assert_eq!(sends(&mut client), Some(both.to_vec()), "{protocol:?}: a change reaches both");
        assert_eq!(sends(&mut client), None);
    }
}

#[test]
fn listener_of_another_spelling_comes_and_goes_like_any_other() {
    let mut client = Client::new(Protocol::Delta);
    client.configure_set(ResourceSet::default());
    client.ask(ResourceKind::Listener, &[ASKED]);
    assert_eq!(sends(&mut client), some(&[&format!("!{ASKED}")]));
    client.configure_set(listeners(&[CANONICAL], "a"));
    assert_eq!(sends(&mut client), some(&[&format!("{ASKED}=a")]));
    client.configure_set(ResourceSet::default());
    client.now += Duration::from_secs(3600);
    assert_eq!(sends(&mut client), some(&[&format!("!{ASKED}")]));
    client.ask(ResourceKind::Listener, &[&format!("-{ASKED}")]);
    client.configure_set(listeners(&[CANONICAL], "b"));
    assert_eq!(sends(&mut client), None, "unsubscribed");
}

/// With the wildcard a client gets every listener under its own name, and the ones that it names as it names them.
#[test]
fn wildcard_and_another_spelling_are_both_served() {
    let mut client = Client::new(Protocol::Sotw);
    client.configure_set(listeners(&[CANONICAL], "a"));
    client.ask(ResourceKind::Listener, &["*", ASKED]);
    assert_eq!(sends(&mut client), some(&[&format!("{ASKED}=a"), &format!("{CANONICAL}=a")]));
}

#[test]
fn stream_is_woken_by_the_listeners_own_name() {
    let mut client = Client::new(Protocol::Sotw);
    client.ask(ResourceKind::Listener, &[ASKED]);
    client.ask(ResourceKind::Cluster, &["Unchanged"]);
    let on = |kind: ResourceKind, name: &str| (Interest::One(kind.into(), name.into()), InterestChange::On);
    let expected = [on(ResourceKind::Listener, CANONICAL), on(ResourceKind::Cluster, "Unchanged")];
    assert_eq!(client.stream.take_interests(), expected);
    let left: Vec<Interest> = expected.into_iter().rev().map(|(interest, _)| interest).collect();
    assert_eq!(client.stream.interests(), left, "what began is what ends");
}
