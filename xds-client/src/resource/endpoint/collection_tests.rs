//! Collections, and localities that refer to them.

use mesh_core::config::{Endpoint, Name};
use prost::Message;
use xds_proto::envoy::config::core::v3::HealthStatus as ProtoHealth;
use xds_proto::envoy::config::core::v3::config_source::ConfigSourceSpecifier;
use xds_proto::envoy::config::endpoint::v3::locality_lb_endpoints::{LbConfig, LbEndpointList};
use xds_proto::envoy::config::endpoint::v3::{
    ClusterLoadAssignment as Proto, LbEndpoint, LbEndpointCollection, LedsClusterLocalityConfig,
};
use xds_proto::google::protobuf::Any;
use xds_proto::xds::core::v3::collection_entry::{InlineEntry, ResourceSpecifier};
use xds_proto::xds::core::v3::{CollectionEntry, ResourceLocator};

use super::samples::{endpoint, inner, locality, two_priorities};
use super::*;
use crate::resource::testing::{
    OK, Row, address, ads, broken_any, check, check_as, decode, elsewhere, from_self, pack_any, source,
    u32_value, unknown_any,
};

const LIST: &str = "xdstp://a/envoy.config.endpoint.v3.LbEndpointCollection/eu";
const GLOB: &str = "xdstp://a/envoy.config.endpoint.v3.LbEndpoint/eu/*";

fn leds(name: &str) -> LedsClusterLocalityConfig {
    LedsClusterLocalityConfig { leds_config: from_self(), leds_collection_name: name.into() }
}

/// The first locality's endpoints are in a collection.
fn refer(message: &mut Proto, leds: LedsClusterLocalityConfig) {
    message.endpoints[0].lb_config = Some(LbConfig::LedsClusterLocalityConfig(leds));
}

const REFERENCES: &[Row<Proto>] = &[
    ("EDS-15 list", |m| refer(m, leds(LIST)), OK),
    ("EDS-15 opaque name", |m| refer(m, leds("eu")), OK),
    ("EDS-15 ads", |m| refer(m, LedsClusterLocalityConfig { leds_config: ads(), ..leds(LIST) }), OK),
    (
        "EDS-15 another source",
        |m| refer(m, LedsClusterLocalityConfig { leds_config: elsewhere(), ..leds(LIST) }),
        Err(("endpoints[0].leds_cluster_locality_config.leds_config", "must be ads or self")),
    ),
    (
        "EDS-15 a file",
        |m| {
            let leds_config = source(ConfigSourceSpecifier::PathConfigSource(Default::default()));
            refer(m, LedsClusterLocalityConfig { leds_config, ..leds(LIST) });
        },
        Err(("endpoints[0].leds_cluster_locality_config.leds_config", "must be ads or self")),
    ),
    (
        "EDS-15 no source",
        |m| refer(m, LedsClusterLocalityConfig { leds_config: None, ..leds(LIST) }),
        Err(("endpoints[0].leds_cluster_locality_config.leds_config", "must be ads or self")),
    ),
    (
        "EDS-15 no name",
        |m| refer(m, leds("")),
        Err(("endpoints[0].leds_cluster_locality_config.leds_collection_name", "must not be empty")),
    ),
    (
        "EDS-15 glob",
        |m| refer(m, leds(GLOB)),
        Err(("endpoints[0].leds_cluster_locality_config.leds_collection_name", "need incremental xDS")),
    ),
    (
        "EDS-15 glob with parameters",
        |m| refer(m, leds(&format!("{GLOB}?zone=1"))),
        Err(("endpoints[0].leds_cluster_locality_config.leds_collection_name", "need incremental xDS")),
    ),
    (
        "EDS-15 glob without an authority and a type",
        |m| refer(m, leds("eu/*")),
        Err(("endpoints[0].leds_cluster_locality_config.leds_collection_name", "that needs an xdstp: name")),
    ),
    (
        "EDS-15 glob of another scheme",
        |m| refer(m, leds("xdstp:eu/*")),
        Err(("endpoints[0].leds_cluster_locality_config.leds_collection_name", "that needs an xdstp: name")),
    ),
    ("EDS-15 * in the middle", |m| refer(m, leds("a/*/b")), OK),
    ("EDS-15 * in a parameter", |m| refer(m, leds(&format!("{LIST}?zone=/*"))), OK),
    (
        "EDS-15 lb_endpoints do not count",
        |m| {
            refer(m, leds(LIST));
            m.endpoints[0].lb_endpoints = vec![endpoint("not an address", 80)];
        },
        OK,
    ),
    (
        "EDS-15 without weight nothing counts",
        |m| {
            m.endpoints.push(locality("ap", 0, 0, vec![]));
            m.endpoints[2].lb_config = Some(LbConfig::LedsClusterLocalityConfig(leds("")));
        },
        OK,
    ),
    (
        "RV-02 a deprecated list",
        |m| {
            let list = LbEndpointList { lb_endpoints: vec![endpoint("not an address", 80)] };
            #[expect(deprecated, reason = "it is ignored, which is to be seen")]
            let config = LbConfig::LoadBalancerEndpoints(list);
            m.endpoints[0].lb_config = Some(config);
        },
        OK,
    ),
];

fn assignment(context: &DecodeContext, message: &Proto) -> Arc<ClusterLoadAssignment> {
    decode(&EndpointsType, context, message).unwrap()
}

/// Proves: EDS-15.
#[test]
fn localities_refer_to_collections() {
    check(&EndpointsType, &two_priorities(), REFERENCES);
    let context = DecodeContext { incremental: true, ..Default::default() };
    let mut opaque = two_priorities();
    refer(&mut opaque, leds("eu/*"));
    let error = decode::<ClusterLoadAssignment>(&EndpointsType, &context, &opaque).unwrap_err();
    assert!(error.to_string().contains("that needs an xdstp: name"), "{error}");
    let mut message = two_priorities();
    message.endpoints.insert(0, locality("ap", 1, 0, vec![]));
    message.endpoints.insert(1, locality("ap", 1, 4, vec![]));
    message.endpoints[1].lb_config = Some(LbConfig::LedsClusterLocalityConfig(leds(LIST)));
    message.endpoints[3].lb_config = Some(LbConfig::LedsClusterLocalityConfig(leds(GLOB)));
    let found = assignment(&context, &message);
    let regions: Vec<Vec<(&str, usize)>> = found
        .set
        .priorities
        .iter()
        .map(|priority| {
            priority.localities.iter().map(|l| (l.id.region.as_str(), l.endpoints.len())).collect()
        })
        .collect();
    assert_eq!(regions, [vec![("eu", 2)], vec![("ap", 0), ("us", 0)]]);
    let refer = |locality, name: &str| CollectionRef { priority: 1, locality, name: name.into() };
    assert_eq!(found.collections, [refer(0, LIST), refer(1, GLOB)]);
    assert_eq!(found.collections.iter().map(CollectionRef::is_glob).collect::<Vec<_>>(), [false, true]);
    assert_eq!(assignment(&context, &two_priorities()).collections, []);
}

fn inline(any: Option<Any>) -> CollectionEntry {
    let entry = InlineEntry { resource: any, ..Default::default() };
    CollectionEntry { resource_specifier: Some(ResourceSpecifier::InlineEntry(entry)) }
}

fn collection(endpoints: Vec<LbEndpoint>) -> LbEndpointCollection {
    LbEndpointCollection { entries: endpoints.into_iter().map(|e| inline(Some(pack_any(e)))).collect() }
}

fn two() -> LbEndpointCollection {
    collection(vec![endpoint("10.0.0.1", 80), endpoint("10.0.0.2", 80)])
}

const COLLECTIONS: &[Row<LbEndpointCollection>] = &[
    ("good", |_| {}, OK),
    ("EDS-16 empty", |m| m.entries.clear(), OK),
    (
        "EDS-16 no resource",
        |m| m.entries[1] = inline(None),
        Err(("entries[1].inline_entry.resource", "must be set")),
    ),
    (
        "EDS-16 nothing",
        |m| m.entries[1] = CollectionEntry::default(),
        Err(("entries[1].inline_entry.resource", "must be set")),
    ),
    (
        "EDS-16 somewhere else",
        |m| {
            let elsewhere = ResourceSpecifier::Locator(ResourceLocator::default());
            m.entries[0].resource_specifier = Some(elsewhere);
        },
        Err(("entries[0].inline_entry.resource", "must be set")),
    ),
    (
        "EDS-16 another type",
        |m| m.entries[1] = inline(Some(unknown_any())),
        Err(("entries[1].inline_entry.resource", "found \"example.Unknown\"")),
    ),
    (
        "EDS-16 broken",
        |m| m.entries[1] = inline(Some(broken_any::<LbEndpoint>())),
        Err(("entries[1].inline_entry.resource", "LbEndpoint: ")),
    ),
    (
        "EDS-07 weights",
        |m| {
            let heavy = LbEndpoint { load_balancing_weight: u32_value(u32::MAX), ..endpoint("10.0.0.3", 80) };
            m.entries.push(inline(Some(pack_any(heavy))));
        },
        Err(("entries[2].inline_entry.resource.load_balancing_weight", "more than 4294967295")),
    ),
    (
        "EDS-08 host name",
        |m| m.entries[0] = inline(Some(pack_any(endpoint("localhost", 80)))),
        Err((
            "entries[0].inline_entry.resource.endpoint.address.socket_address.address",
            "\"localhost\" is not an IP",
        )),
    ),
    (
        "EDS-09 twice",
        |m| m.entries[1] = m.entries[0].clone(),
        Err(("entries[1].inline_entry.resource.endpoint.address", "10.0.0.1:80 occurs twice")),
    ),
];

fn read<T: Send + Sync + 'static>(kind: &dyn ResourceType, message: &impl Message) -> Arc<T> {
    let name = Name::from("x");
    let bytes = message.encode_to_vec().into();
    let (found, value) = kind.decode(&DecodeContext::default(), Some(&name), &bytes).unwrap();
    assert_eq!(found, name);
    value.downcast().unwrap()
}

/// Proves: EDS-16.
#[test]
fn collections_hold_endpoints() {
    check_as(&EndpointCollectionType, Some(&"x".into()), &two(), COLLECTIONS);
    let ports = |endpoints: &[Endpoint]| -> Vec<u16> {
        endpoints.iter().map(|endpoint| endpoint.addresses.first().port()).collect()
    };
    let sick = LbEndpoint { health_status: ProtoHealth::Unhealthy as i32, ..endpoint("10.0.0.1", 81) };
    let message = collection(vec![endpoint("10.0.0.1", 80), sick, endpoint("10.0.0.1", 82)]);
    let found: Arc<EndpointCollection> = read(&EndpointCollectionType, &message);
    assert_eq!(ports(&found.endpoints.iter().cloned().collect::<Vec<_>>()), [80, 82]);
    let none: Arc<EndpointCollection> = read(&EndpointCollectionType, &LbEndpointCollection::default());
    assert!(none.endpoints.is_empty());
}

const MEMBERS: &[Row<LbEndpoint>] = &[
    ("good", |_| {}, OK),
    ("EDS-07", |m| m.load_balancing_weight = u32_value(0), Err(("load_balancing_weight", "must not be 0"))),
    ("EDS-08", |m| inner(m).address = None, Err(("endpoint.address", "must be set"))),
    (
        "EDS-09",
        |m| inner(m).additional_addresses = vec![super::samples::additional("10.0.0.1", 80)],
        Err(("endpoint.additional_addresses[0].address", "10.0.0.1:80 occurs twice")),
    ),
];

#[test]
fn members_of_glob_collections_are_endpoints() {
    check_as(&LbEndpointType, Some(&"x".into()), &endpoint("10.0.0.1", 80), MEMBERS);
    let set = two_priorities().endpoints[0].lb_endpoints.clone();
    let expected = &assignment(&DecodeContext::default(), &two_priorities()).set.priorities[0].localities[0];
    for (member, expected) in set.iter().zip(expected.endpoints.iter()) {
        let found: Arc<CollectionEndpoint> = read(&LbEndpointType, member);
        assert_eq!(found.0.as_ref(), Some(expected));
    }
    let mut sick = LbEndpoint { health_status: ProtoHealth::Timeout as i32, ..endpoint("10.0.0.1", 80) };
    assert_eq!(read::<CollectionEndpoint>(&LbEndpointType, &sick).0, None);
    inner(&mut sick).address = address("x", 1);
    let bytes = sick.encode_to_vec().into();
    let error = LbEndpointType.decode(&DecodeContext::default(), Some(&"x".into()), &bytes).unwrap_err();
    assert_eq!(error.name.as_deref(), Some("x"), "validated all the same");
}
