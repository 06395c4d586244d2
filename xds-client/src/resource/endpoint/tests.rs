//! Localities, priorities and drops.

use mesh_core::policy::matcher::Fraction;
use xds_proto::envoy::config::core::v3::Locality as ProtoLocality;
use xds_proto::envoy::config::endpoint::v3::ClusterLoadAssignment as Proto;
use xds_proto::envoy::config::endpoint::v3::cluster_load_assignment::{Policy, policy::DropOverload};
use xds_proto::envoy::r#type::v3::FractionalPercent;

use super::samples::{endpoint, locality, two_priorities};
use super::*;
use crate::resource::testing::{OK, Row, check, decode, u32_value};

fn decoded(message: &Proto) -> Arc<EndpointSet> {
    let assignment = decode::<ClusterLoadAssignment>(&EndpointsType, &DecodeContext::default(), message);
    assignment.unwrap().set.clone()
}

fn drops(numerator: u32, denominator: i32) -> Option<Policy> {
    let drop_percentage = Some(FractionalPercent { numerator, denominator });
    Some(Policy {
        drop_overloads: vec![DropOverload { category: "lb".into(), drop_percentage }],
        ..Default::default()
    })
}

const LOCALITIES: &[Row<Proto>] = &[
    ("good", |_| {}, OK),
    ("EDS-01 nothing", |m| m.endpoints.clear(), OK),
    ("EDS-01 a locality without endpoints", |m| m.endpoints[0].lb_endpoints.clear(), OK),
    (
        "EDS-02 weight 0 hides a duplicate address",
        |m| {
            m.endpoints.push(locality("ap", 0, 0, vec![endpoint("10.0.0.1", 80)]));
        },
        OK,
    ),
    (
        "EDS-02 unset weight hides a bad address",
        |m| {
            m.endpoints.push(locality("ap", 0, 1, vec![endpoint("not an address", 80)]));
            m.endpoints[2].load_balancing_weight = None;
        },
        OK,
    ),
    (
        "EDS-02 weight 0 makes a gap",
        |m| m.endpoints[0].load_balancing_weight = u32_value(0),
        Err(("endpoints", "priority 1 is used, but not priority 0")),
    ),
    ("EDS-02 weight 0 beyond a gap", |m| m.endpoints.push(locality("ap", 7, 0, vec![])), OK),
    ("EDS-02 weight 0 hides a duplicate locality", |m| m.endpoints.push(locality("eu", 0, 0, vec![])), OK),
    ("EDS-03 no locality", |m| m.endpoints[1].locality = None, Err(("endpoints[1].locality", "must be set"))),
    ("EDS-03 empty locality", |m| m.endpoints[1].locality = Some(ProtoLocality::default()), OK),
    (
        "EDS-04 twice in a priority",
        |m| m.endpoints.push(locality("eu", 0, 1, vec![])),
        Err(("endpoints[2].locality", "{region=\"eu\", zone=\"\", sub_zone=\"\"} occurs twice")),
    ),
    ("EDS-04 in two priorities", |m| m.endpoints.push(locality("eu", 1, 1, vec![])), OK),
    (
        "EDS-05 no priority 0",
        |m| drop(m.endpoints.remove(0)),
        Err(("endpoints", "priority 1 is used, but not priority 0")),
    ),
    (
        "EDS-05 far away",
        |m| m.endpoints[1].priority = u32::MAX,
        Err(("endpoints", "priority 4294967295 is used, but not priority 1")),
    ),
    ("EDS-05 any order", |m| m.endpoints.reverse(), OK),
    (
        "EDS-06 sum at the limit",
        |m| {
            m.endpoints[0].load_balancing_weight = u32_value(u32::MAX - 1);
            m.endpoints.push(locality("ap", 0, 1, vec![]));
        },
        OK,
    ),
    (
        "EDS-06 sum above the limit",
        |m| {
            m.endpoints[0].load_balancing_weight = u32_value(u32::MAX);
            m.endpoints.push(locality("ap", 0, 1, vec![]));
        },
        Err(("endpoints[2].load_balancing_weight", "more than 4294967295")),
    ),
    (
        "EDS-06 per priority",
        |m| {
            m.endpoints[0].load_balancing_weight = u32_value(u32::MAX);
            m.endpoints[1].load_balancing_weight = u32_value(u32::MAX);
        },
        OK,
    ),
];

/// Proves: EDS-01, EDS-02, EDS-03, EDS-04, EDS-05, EDS-06.
#[test]
fn localities_and_priorities() {
    check(&EndpointsType, &two_priorities(), LOCALITIES);
    assert_eq!(decoded(&Proto { cluster_name: "x".into(), ..Default::default() }).priorities, []);
    let mut reversed = two_priorities();
    reversed.endpoints.reverse();
    reversed.endpoints.push(locality("ap", 0, 0, vec![]));
    let set = decoded(&reversed);
    let shape = |priority: &Priority| {
        priority
            .localities
            .iter()
            .map(|l| (l.id.region.clone(), l.weight.get(), l.endpoints.len()))
            .collect::<Vec<_>>()
    };
    assert_eq!(
        set.priorities.iter().map(shape).collect::<Vec<_>>(),
        [vec![("eu".to_owned(), 3, 2)], vec![("us".to_owned(), 1, 1)],]
    );
}

const DROPS: &[Row<Proto>] = &[
    (
        "EDS-12 unknown denominator",
        |m| m.policy = drops(1, 3),
        Err(("policy.drop_overloads[0].drop_percentage.denominator", "found 3")),
    ),
    (
        "EDS-12 no percentage",
        |m| {
            m.policy = Some(Policy { drop_overloads: vec![DropOverload::default()], ..Default::default() });
        },
        OK,
    ),
];

/// Proves: EDS-12, EDS-13.
#[test]
fn drops_are_scaled_and_overprovisioning_is_ignored() {
    let rows = [
        (0, 0, 0),
        (25, 0, 250_000),
        (100, 0, 1_000_000),
        (101, 0, 1_000_000),
        (u32::MAX, 0, 1_000_000),
        (5, 1, 500),
        (10_001, 1, 1_000_000),
        (7, 2, 7),
        (u32::MAX, 2, 1_000_000),
    ];
    for (numerator, denominator, per_million) in rows {
        let set = decoded(&Proto { policy: drops(numerator, denominator), ..two_priorities() });
        let expected = DropCategory { category: "lb".into(), fraction: Fraction::per_million(per_million) };
        assert_eq!(set.drops, [expected], "{numerator} of denominator {denominator}");
    }
    check(&EndpointsType, &two_priorities(), DROPS);
    let factor = Policy { overprovisioning_factor: u32_value(0), ..Default::default() };
    assert_eq!(decoded(&Proto { policy: Some(factor), ..two_priorities() }), decoded(&two_priorities()));
}

/// The time for ten times as many endpoints is about ten times as long; a quadratic decoder takes a hundred times.
#[test]
fn ten_thousand_endpoints_are_read() {
    let endpoints = (0..10_000).map(|i| endpoint(&format!("10.{}.{}.1", i / 256, i % 256), 80)).collect();
    let message = Proto { endpoints: vec![locality("eu", 0, 1, endpoints)], ..two_priorities() };
    assert_eq!(decoded(&message).priorities[0].localities[0].endpoints.len(), 10_000);
}
