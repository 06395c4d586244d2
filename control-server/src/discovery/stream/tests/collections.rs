//! Endpoint collections, as tables.

use xds_proto::envoy::config::core::v3::Node;
use xds_proto::envoy::service::discovery::v3::{DeltaDiscoveryRequest, DiscoveryRequest};

use super::{Client, Protocol, check};
use crate::discovery::stream::{Event, Request};
use crate::resources::{ClientClass, ResourceKind};

#[test]
fn glob_subscribes_to_every_member() {
    check(
        Protocol::Delta,
        &[
            (
                "all at first, then what changes",
                "config leds c/a=1, leds c/b=1, leds d/a=1; ask leds c/*; sends leds c/a=1 c/b=1; ack leds;
                 config leds c/a=1, leds c/b=2, leds c/c=1, leds d/a=2; sends leds c/b=2 c/c=1; ack leds;
                 config leds c/c=1, leds d/a=2; sends leds !c/a !c/b; ack leds; sends nothing",
            ),
            (
                "a member that comes and goes while one is unanswered",
                "config leds c/a=1; ask leds c/*; sends leds c/a=1; config leds c/a=1, leds c/b=1; config leds c/a=1;
                 ack leds; sends nothing; config leds c/a=2; sends leds c/a=2",
            ),
            (
                "empty is told by the glob's name",
                "config leds c/*=; ask leds c/* d/*; sends leds !c/* !d/*; ack leds; sends nothing;
                 config leds c/a=1; sends leds c/a=1; ack leds; config leds c/*=; sends leds !c/* !c/a; ack leds",
            ),
            (
                "gone with its cluster: last",
                "config leds c/a=1; ask leds c/*; sends leds c/a=1; ack leds; config; sends nothing; wait 1000;
                 sends leds !c/* !c/a",
            ),
            (
                "gone with its cluster, and without a subscription",
                "config leds c/a=1; ask leds c/*; sends leds c/a=1; ack leds; config; ask leds -c/*; wait 60000; sends nothing",
            ),
            (
                "unsubscribed and subscribed again",
                "config leds c/a=1; ask leds c/*; sends leds c/a=1; ack leds; ask leds -c/*;
                 config leds c/a=1, leds c/b=1; sends nothing; ask leds c/*; sends leds c/a=1 c/b=1",
            ),
            (
                "what was refused is not sent again until it changes",
                "config leds c/a=1, leds c/b=1; ask leds c/*; sends leds c/a=1 c/b=1; nack leds; sends nothing;
                 config leds c/a=1, leds c/b=2; sends leds c/b=2",
            ),
            ("a member has no name of its own", "config leds c/a=1; ask leds c/a; sends leds !c/a"),
            ("there is no wildcard", "config leds c/a=1; ask leds; sends nothing; ask leds *; sends leds !*"),
        ],
    );
}

/// What is remembered of it must not grow, least of all in depth.
#[test]
fn repeated_glob_subscription_counts_once() {
    let mut client = Client::new(Protocol::Delta);
    client.configure(&["leds c/a=1"]);
    let ask = |names: usize| DeltaDiscoveryRequest {
        type_url: ResourceKind::LbEndpoint.type_url().to_owned(),
        resource_names_subscribe: vec!["c/*".to_owned(); names],
        ..DeltaDiscoveryRequest::default()
    };
    client.send(ask(1));
    client.sends();
    client.send(ask(100_000));
    for _ in 0..100_000 {
        client.now += std::time::Duration::from_secs(1);
        client.send(ask(1));
    }
    client.configure(&["leds c/a=2"]);
    client.ack(ResourceKind::LbEndpoint);
    assert_eq!(client.sends().len(), 1);
}

#[test]
fn members_that_the_client_presents_are_not_sent_again() {
    check(
        Protocol::Delta,
        &[
            (
                "all are current",
                "config leds c/a=1, leds c/b=1; ask leds c/*; sends leds c/a=1 c/b=1; ack leds; reopen; ask leds c/*;
                 sends leds; ack leds; config leds c/a=1, leds c/b=2; sends leds c/b=2",
            ),
            (
                "some have changed, some are gone",
                "config leds c/a=1, leds c/b=1, leds c/c=1; ask leds c/*; sends leds c/a=1 c/b=1 c/c=1; ack leds;
                 config leds c/a=1, leds c/b=2, leds c/d=1; reopen; ask leds c/*; sends leds c/b=2 c/d=1 !c/c",
            ),
            (
                "the collection is gone",
                "config leds c/a=1; ask leds c/*; sends leds c/a=1; ack leds; config; reopen; ask leds c/*; sends leds;
                 ack leds; wait 1000; sends leds !c/* !c/a",
            ),
        ],
    );
}

/// Proves: CS-09.
#[test]
fn collections_come_between_their_cluster_and_its_listener() {
    check(
        Protocol::Delta,
        &[(
            "one revision",
            "config cds a=1, eds a=1, leds c/a=1, lds a=1, rds a=1; ask rds a; ask lds a; ask leds c/*; ask eds a; ask cds a;
             sends cds a=1 / eds a=1 / leds c/a=1 / lds a=1 / rds a=1",
        )],
    );
}

#[test]
fn only_incremental_clients_with_the_feature_get_collections() {
    let feature = "xds.endpoint.supports_lb_endpoint_collection";
    for (protocol, features, expected) in [
        (Protocol::Delta, &[feature][..], ClientClass::Collections),
        (Protocol::Delta, &["x", feature], ClientClass::Collections),
        (Protocol::Delta, &["x"], ClientClass::Plain),
        (Protocol::Sotw, &[feature], ClientClass::Plain),
    ] {
        let mut client = Client::new(protocol);
        let client_features = features.iter().map(ToString::to_string).collect();
        let node = Some(Node { client_features, ..Node::default() });
        let type_url = ResourceKind::Endpoints.type_url().to_owned();
        let request: Request = match protocol {
            Protocol::Sotw => DiscoveryRequest { node, type_url, ..DiscoveryRequest::default() }.into(),
            Protocol::Delta => {
                DeltaDiscoveryRequest { node, type_url, ..DeltaDiscoveryRequest::default() }.into()
            }
        };
        client.send(request);
        assert_eq!(client.stream.class, expected, "{protocol:?} {features:?}");
    }
    let mut sotw = Client::new(Protocol::Sotw);
    let unknown = Event::UnknownType(ResourceKind::LbEndpoint.type_url().to_owned());
    assert_eq!(sotw.ask(ResourceKind::LbEndpoint, &["c/*"]), unknown);
}
