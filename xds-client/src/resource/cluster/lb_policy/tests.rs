//! Load-balancing policies, old and extensible.

use mesh_core::config::{LbPolicy, LocalityPolicy, RingHash};
use mesh_core::policy::lb::{Balancer, CustomPolicy};
use serde_json::{Value, json};
use xds_proto::envoy::config::cluster::v3::cluster::{
    LbConfig, LbPolicy as OldPolicy, LeastRequestLbConfig, RingHashLbConfig,
};
use xds_proto::envoy::config::cluster::v3::load_balancing_policy::Policy;
use xds_proto::envoy::config::cluster::v3::{Cluster as Proto, LoadBalancingPolicy};
use xds_proto::envoy::extensions::load_balancing_policies as policies;
use xds_proto::google::protobuf::{Any, UInt64Value};

use crate::resource::cluster::samples::{eds, policies as list, wrr_locality};
use crate::resource::cluster::{Cluster, ClusterType};
use crate::resource::testing::{broken_any, decode, pack_any, typed_struct, u32_value, unknown_any};
use crate::resource::{DecodeContext, ExtensionError, ExtensionPayload, LbPolicyRegistry, LbPolicyType};

use policies::least_request::v3::LeastRequest;
use policies::pick_first::v3::PickFirst;
use policies::ring_hash::v3::RingHash as ProtoRing;
use policies::round_robin::v3::RoundRobin;
use policies::wrr_locality::v3::WrrLocality;

pub(super) type Choice = (LocalityPolicy, LbPolicy);

pub(super) fn decoded(cluster: &Proto) -> Result<Choice, (String, String)> {
    match decode::<Cluster>(&ClusterType, &DecodeContext::default(), cluster) {
        Ok(cluster) => Ok((cluster.settings.locality_policy, cluster.settings.lb_policy.clone())),
        Err(error) => Err((error.field, error.reason)),
    }
}

pub(super) fn with(configs: Vec<Any>) -> Result<Choice, (String, String)> {
    decoded(&Proto { load_balancing_policy: list(configs), ..eds() })
}

#[track_caller]
pub(super) fn refused(row: &str, result: Result<Choice, (String, String)>, field: &str, reason: &str) {
    let (found, text) = result.expect_err(row);
    assert_eq!(found, field, "{row}: {text}");
    assert!(text.contains(reason), "{row}: {text}");
}

pub(super) fn flat(policy: LbPolicy) -> Result<Choice, (String, String)> {
    Ok((LocalityPolicy::Flat, policy))
}

pub(super) fn weighted(policy: LbPolicy) -> Result<Choice, (String, String)> {
    Ok((LocalityPolicy::Weighted, policy))
}

fn ring(min_size: u64, max_size: u64) -> LbPolicy {
    LbPolicy::RingHash(RingHash::new(min_size, max_size))
}

fn u64_value(value: Option<u64>) -> Option<UInt64Value> {
    value.map(|value| UInt64Value { value })
}

fn old(policy: OldPolicy, lb_config: Option<LbConfig>) -> Proto {
    Proto { lb_policy: policy as i32, lb_config, ..eds() }
}

/// Proves: CDS-07.
#[test]
fn deprecated_lb_policies_are_decoded() {
    let robin = weighted(LbPolicy::RoundRobin);
    assert_eq!(decoded(&old(OldPolicy::RoundRobin, None)), robin);
    let count = weighted(LbPolicy::LeastRequest { choice_count: 2 });
    assert_eq!(decoded(&old(OldPolicy::LeastRequest, None)), count);
    assert_eq!(decoded(&old(OldPolicy::RingHash, None)), flat(ring(1024, 8_388_608)));
    for policy in [
        OldPolicy::Random,
        OldPolicy::Maglev,
        OldPolicy::ClusterProvided,
        OldPolicy::LoadBalancingPolicyConfig,
    ] {
        refused(policy.as_str_name(), decoded(&old(policy, None)), "lb_policy", policy.as_str_name());
    }
    refused("unknown", decoded(&Proto { lb_policy: 77, ..eds() }), "lb_policy", "77");
}

/// Proves: CDS-06.
#[test]
fn new_policy_decides_alone() {
    for lb_policy in [0, OldPolicy::Maglev as i32, 77] {
        let load_balancing_policy = list(vec![pack_any(PickFirst::default())]);
        let found = decoded(&Proto { lb_policy, load_balancing_policy, ..eds() });
        assert_eq!(found, flat(LbPolicy::PickFirst { shuffle: false }), "{lb_policy}");
    }
}

/// Every way to configure a ring: the enum, the message, and structs in both spellings and under gRPC's name.
fn rings(min: Option<u64>, max: Option<u64>) -> Vec<Result<Choice, (String, String)>> {
    let config = RingHashLbConfig {
        minimum_ring_size: u64_value(min),
        maximum_ring_size: u64_value(max),
        ..Default::default()
    };
    let message = ProtoRing {
        minimum_ring_size: u64_value(min),
        maximum_ring_size: u64_value(max),
        ..Default::default()
    };
    let fields = |low: &str, high: &str| json!({low: min, high: max.map(|max| max.to_string())});
    let name = "envoy.extensions.load_balancing_policies.ring_hash.v3.RingHash";
    vec![
        decoded(&old(OldPolicy::RingHash, Some(LbConfig::RingHashLbConfig(config)))),
        with(vec![pack_any(message)]),
        with(vec![typed_struct("xds.type.v3", name, fields("minimum_ring_size", "maximum_ring_size"))]),
        with(vec![typed_struct(
            "udpa.type.v1",
            "ring_hash_experimental",
            fields("minRingSize", "maxRingSize"),
        )]),
    ]
}

/// Proves: CDS-08, LB-34.
#[test]
fn ring_sizes_are_bounded() {
    let rows = [
        (None, None, Ok((1024, 8_388_608))),
        (Some(1), Some(1), Ok((1, 1))),
        (Some(8_388_608), None, Ok((8_388_608, 8_388_608))),
        (None, Some(1024), Ok((1024, 1024))),
        (Some(8_388_609), None, Err(("minimum_ring_size", "must be at most 8388608"))),
        (None, Some(8_388_609), Err(("maximum_ring_size", "must be at most 8388608"))),
        (None, Some(1023), Err(("minimum_ring_size", "1024 is more than maximum_ring_size 1023"))),
        (Some(9), Some(8), Err(("minimum_ring_size", "9 is more than maximum_ring_size 8"))),
    ];
    for (min, max, expected) in rows {
        for found in rings(min, max) {
            match expected {
                Ok((low, high)) => assert_eq!(found, flat(ring(low, high)), "{min:?} {max:?}"),
                Err((field, reason)) => {
                    let (path, text) = found.expect_err("the sizes are wrong");
                    assert!(
                        path.ends_with(field) && text.contains(reason),
                        "{min:?} {max:?}: {path}: {text}"
                    );
                }
            }
        }
    }
    for hash_function in [1, 9] {
        let config = RingHashLbConfig { hash_function, ..Default::default() };
        let cluster = old(OldPolicy::RingHash, Some(LbConfig::RingHashLbConfig(config)));
        refused("old", decoded(&cluster), "ring_hash_lb_config.hash_function", "must be XX_HASH");
    }
    let field = "load_balancing_policy.policies[0].typed_extension_config.typed_config.hash_function";
    for hash_function in [2, 9] {
        let config = ProtoRing { hash_function, ..Default::default() };
        refused("new", with(vec![pack_any(config)]), field, "must be XX_HASH");
    }
    for hash_function in [0, 1] {
        assert!(with(vec![pack_any(ProtoRing { hash_function, ..Default::default() })]).is_ok());
    }
    let fields = json!({"hash_function": "MURMUR_HASH_2"});
    refused(
        "struct",
        with(vec![typed_struct("xds.type.v3", "ring_hash_experimental", fields)]),
        field,
        "must be XX_HASH",
    );
}

/// Proves: CDS-09.
#[test]
fn least_request_choice_counts_are_bounded() {
    let all = |count: Option<u32>| {
        let config = LeastRequestLbConfig { choice_count: count.and_then(u32_value), ..Default::default() };
        let message = LeastRequest { choice_count: count.and_then(u32_value), ..Default::default() };
        let fields = json!({"choiceCount": count});
        [
            decoded(&old(OldPolicy::LeastRequest, Some(LbConfig::LeastRequestLbConfig(config)))),
            with(vec![pack_any(message)]),
            with(vec![typed_struct("xds.type.v3", "least_request_experimental", fields)]),
        ]
        .map(|result| result.map(|(_, policy)| policy))
    };
    for (count, expected) in [(None, 2), (Some(2), 2), (Some(10), 10), (Some(11), 10), (Some(u32::MAX), 10)] {
        for found in all(count) {
            assert_eq!(found, Ok(LbPolicy::LeastRequest { choice_count: expected }), "{count:?}");
        }
    }
    for count in [0, 1] {
        for found in all(Some(count)) {
            let (field, reason) = found.expect_err("it is too small");
            assert!(
                field.ends_with("choice_count") && reason.contains("must be at least 2"),
                "{field}: {reason}"
            );
        }
    }
}

/// Proves: LB-04.
#[test]
fn first_supported_policy_counts() {
    let robin = || pack_any(RoundRobin::default());
    let shuffle = || pack_any(PickFirst { shuffle_address_list: true });
    let skipped = || vec![unknown_any(), typed_struct("xds.type.v3", "my_own_policy", json!({}))];
    assert_eq!(with(vec![robin(), shuffle()]), flat(LbPolicy::RoundRobin));
    assert_eq!(with(vec![shuffle(), robin()]), flat(LbPolicy::PickFirst { shuffle: true }));
    assert_eq!(
        with([skipped(), vec![shuffle(), robin()]].concat()),
        flat(LbPolicy::PickFirst { shuffle: true })
    );
    assert_eq!(with(vec![wrr_locality(vec![robin()])]), weighted(LbPolicy::RoundRobin));
    assert_eq!(
        with(vec![wrr_locality([skipped(), vec![shuffle()]].concat())]),
        weighted(LbPolicy::PickFirst { shuffle: true })
    );
    assert_eq!(with(vec![wrr_locality(vec![wrr_locality(vec![robin()])])]), weighted(LbPolicy::RoundRobin));
    let field = "load_balancing_policy.policies";
    refused("empty", with(vec![]), field, "no supported policy");
    refused("unsupported", with(skipped()), field, "found [\"example.Unknown\"");
    let first = "load_balancing_policy.policies[0].typed_extension_config.typed_config";
    refused("no fall-through", with(vec![broken_any::<RoundRobin>(), robin()]), first, "RoundRobin: ");
    let few = pack_any(LeastRequest { choice_count: u32_value(1), ..Default::default() });
    refused("invalid", with(vec![few, robin()]), &format!("{first}.choice_count"), "at least 2");
    let child = format!("{first}.endpoint_picking_policy");
    refused("no child", with(vec![pack_any(WrrLocality::default()), robin()]), &child, "must be set");
    refused(
        "child",
        with(vec![wrr_locality(skipped()), robin()]),
        &format!("{child}.policies"),
        "no supported policy",
    );
    let unset = LoadBalancingPolicy { policies: vec![Policy::default()] };
    let cluster = Proto { load_balancing_policy: Some(unset), ..eds() };
    refused("unset", decoded(&cluster), field, "no supported policy");
}

/// Proves: LB-04.
#[test]
fn typed_structs_name_policies_of_udpa_and_xds() {
    let with_struct = |name: &str, fields: Value| with(vec![typed_struct("xds.type.v3", name, fields)]);
    let package = "envoy.extensions.load_balancing_policies";
    for name in ["round_robin", &format!("{package}.round_robin.v3.RoundRobin")] {
        assert_eq!(with_struct(name, json!({"ignored": 1})), flat(LbPolicy::RoundRobin));
    }
    for name in ["pick_first", &format!("{package}.pick_first.v3.PickFirst")] {
        for (fields, shuffle) in [(json!({}), false), (json!({"shuffleAddressList": true}), true)] {
            assert_eq!(with_struct(name, fields), flat(LbPolicy::PickFirst { shuffle }));
        }
    }
    let field = "load_balancing_policy.policies[0].typed_extension_config.typed_config";
    let path = |name: &str| format!("{field}.{name}");
    let bad = with_struct("pick_first", json!({"shuffleAddressList": 1}));
    refused("shuffle", bad, &path("shuffle_address_list"), "expected true or false");
    for value in [json!(2.5), json!(-1), json!("x"), json!(true), json!(1e300)] {
        let bad = with_struct("least_request_experimental", json!({"choice_count": value}));
        refused("count", bad, &path("choice_count"), "expected a whole number");
    }
    let text = with_struct("least_request_experimental", json!({"choice_count": "3"}));
    assert_eq!(text, flat(LbPolicy::LeastRequest { choice_count: 3 }));
}

/// Proves: LB-05.
#[test]
fn policies_nest_sixteen_levels_deep() {
    let nested = |levels: usize| {
        let inner = pack_any(RoundRobin::default());
        with(vec![(1..levels).fold(inner, |inner, _| wrr_locality(vec![inner]))])
    };
    assert_eq!(nested(16), weighted(LbPolicy::RoundRobin));
    let (_, reason) = nested(17).expect_err("it is too deep");
    assert_eq!(reason, "policies are nested more than 16 levels deep");
    assert!(nested(60).is_err());
}

#[derive(Debug)]
struct NearestType;

impl LbPolicyType for NearestType {
    fn type_name(&self) -> &str {
        "example.Nearest"
    }

    fn decode(&self, payload: &ExtensionPayload<'_>) -> Result<CustomPolicy, ExtensionError> {
        let fields = payload.fields().ok_or_else(|| ExtensionError::new("expected a TypedStruct"))?;
        let meters = fields["meters"].as_u64().ok_or_else(|| ExtensionError::at("meters", "no number"))?;
        Ok(CustomPolicy::configured("nearest", meters, |_| -> Box<dyn Balancer> { unreachable!("not made") }))
    }
}

/// Proves: LB-04.
#[test]
fn policies_of_users_are_known_by_their_type() {
    let context = DecodeContext {
        lb_policies: LbPolicyRegistry::default().with(NearestType),
        ..DecodeContext::default()
    };
    let read = |configs: Vec<Any>| {
        let cluster = Proto { load_balancing_policy: list(configs), ..eds() };
        match decode::<Cluster>(&ClusterType, &context, &cluster) {
            Ok(cluster) => Ok((cluster.settings.locality_policy, cluster.settings.lb_policy.clone())),
            Err(error) => Err((error.field, error.reason)),
        }
    };
    let nearest = |meters: Value| typed_struct("xds.type.v3", "example.Nearest", json!({"meters": meters}));
    let (locality, policy) = read(vec![unknown_any(), nearest(json!(5))]).unwrap();
    assert_eq!(locality, LocalityPolicy::Flat);
    assert!(matches!(policy, LbPolicy::Custom(_)), "{policy:?}");
    assert_eq!(read(vec![nearest(json!(5))]).unwrap().1, policy, "equal settings are one policy");
    assert_ne!(read(vec![nearest(json!(6))]).unwrap().1, policy);
    let (_, below) = read(vec![wrr_locality(vec![nearest(json!(5))])]).unwrap();
    assert_eq!(below, policy);
    let invalid = read(vec![nearest(json!("far")), pack_any(RoundRobin::default())]);
    let field = "load_balancing_policy.policies[0].typed_extension_config.typed_config.meters";
    refused("LB-04: no later one is tried", invalid, field, "no number");
    assert!(with(vec![nearest(json!(5))]).is_err(), "without the registry it is unknown");
}

/// Only gRPC's JSON settings have the field, which a `TypedStruct` may carry.
///
/// Proves: LB-41.
#[test]
fn request_hash_header_is_no_binary_one() {
    let with_header = |header: Value| {
        with(vec![typed_struct(
            "xds.type.v3",
            "ring_hash_experimental",
            json!({"requestHashHeader": header}),
        )])
    };
    let ring = RingHash::new(1024, 8_388_608);
    let expected = ring.clone().with_request_hash_header(http::HeaderName::from_static("x-key"));
    assert_eq!(with_header(json!("X-Key")), flat(LbPolicy::RingHash(expected)));
    assert_eq!(with_header(json!("")), flat(LbPolicy::RingHash(ring)));
    let field = "load_balancing_policy.policies[0].typed_extension_config.typed_config.request_hash_header";
    refused("binary", with_header(json!("key-bin")), field, "is a binary header");
    refused("no name", with_header(json!("a b")), field, "is not the name of a header");
    refused("no text", with_header(json!(1)), field, "expected the name of a header");
}
