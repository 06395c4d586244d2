//! Load-balancing policies: the old `lb_policy` enum and the extensible `load_balancing_policy` (gRFC A42, A48, A52,
//! A62).
//!
//! A policy in `load_balancing_policy` is directly below the priority, so localities have no effect unless it is
//! `WrrLocality`. The enum means the same policies with `WrrLocality` around them, except ring hash.

use mesh_core::config::{LbPolicy, LocalityPolicy, RingHash};
use policies::ring_hash::v3::ring_hash::HashFunction;
use xds_proto::envoy::config::cluster::v3::cluster::ring_hash_lb_config::HashFunction as OldHash;
use xds_proto::envoy::config::cluster::v3::cluster::{LbConfig, LbPolicy as OldPolicy, RingHashLbConfig};
use xds_proto::envoy::config::cluster::v3::{Cluster, LoadBalancingPolicy};
use xds_proto::envoy::extensions::load_balancing_policies as policies;
use xds_proto::google::protobuf::Struct;
use xds_proto::google::protobuf::value::Kind;

use crate::resource::extension::{Extension, field, number};
use crate::resource::invalid::{Checked, Invalid, Within};

type Choice = (LocalityPolicy, LbPolicy);

/// How a cluster's calls are spread over localities and over their endpoints.
pub(super) fn read(cluster: &Cluster) -> Checked<Choice> {
    match &cluster.load_balancing_policy {
        // CDS-06: the enum is not read then, known or not.
        Some(policy) => first_supported(policy, 1).within("load_balancing_policy"),
        None => old(cluster),
    }
}

// CDS-07
fn old(cluster: &Cluster) -> Checked<Choice> {
    match OldPolicy::try_from(cluster.lb_policy) {
        Ok(OldPolicy::RoundRobin) => Ok((LocalityPolicy::Weighted, LbPolicy::RoundRobin)),
        Ok(OldPolicy::LeastRequest) => {
            let count = match &cluster.lb_config {
                Some(LbConfig::LeastRequestLbConfig(config)) => {
                    config.choice_count.map(|count| count.value.into())
                }
                _ => None,
            };
            Ok((LocalityPolicy::Weighted, least_request(count).within("least_request_lb_config")?))
        }
        Ok(OldPolicy::RingHash) => {
            let config = match &cluster.lb_config {
                Some(LbConfig::RingHashLbConfig(config)) => *config,
                _ => RingHashLbConfig::default(),
            };
            let sizes =
                [config.minimum_ring_size, config.maximum_ring_size].map(|size| size.map(|size| size.value));
            let policy = match config.hash_function == OldHash::XxHash as i32 {
                true => ring_hash(sizes),
                false => Err(Invalid::at("hash_function", "must be XX_HASH")),
            };
            Ok((LocalityPolicy::Flat, policy.within("ring_hash_lb_config")?))
        }
        other => {
            let found =
                other.map_or_else(|error| error.to_string(), |policy| policy.as_str_name().to_owned());
            Err(Invalid::at(
                "lb_policy",
                format!("expected ROUND_ROBIN, LEAST_REQUEST or RING_HASH, found {found}"),
            ))
        }
    }
}

/// LB-04: the first entry that is supported decides; if it is not valid, no later one is tried.
fn first_supported(policy: &LoadBalancingPolicy, level: usize) -> Checked<Choice> {
    // LB-05
    if level > MAX_LEVELS {
        return Err(Invalid::new(format!("policies are nested more than {MAX_LEVELS} levels deep")));
    }
    let mut skipped = Vec::new();
    for (index, entry) in policy.policies.iter().enumerate() {
        let config = entry.typed_extension_config.as_ref().and_then(|config| config.typed_config.as_ref());
        let Some(any) = config else { continue };
        let mut read = || {
            let extension = Extension::of(any)?;
            let choice = registered(&extension, level)?;
            if choice.is_none() {
                skipped.push(extension.type_name().to_owned());
            }
            Ok::<_, Invalid>(choice)
        };
        let choice =
            read().within("typed_extension_config.typed_config").within_element("policies", index)?;
        if let Some(choice) = choice {
            return Ok(choice);
        }
    }
    Err(Invalid::at("policies", format!("no supported policy, found {skipped:?}")))
}

/// `None`: not supported. A `TypedStruct` may name gRPC's policies as well, with their JSON settings.
fn registered(extension: &Extension<'_>, level: usize) -> Checked<Option<Choice>> {
    let flat = |policy| Ok(Some((LocalityPolicy::Flat, policy)));
    match (extension.type_name(), extension.fields()) {
        (ROUND_ROBIN, None) => {
            extension.well_formed::<policies::round_robin::v3::RoundRobin>()?;
            flat(LbPolicy::RoundRobin)
        }
        (ROUND_ROBIN | "round_robin", Some(_)) => flat(LbPolicy::RoundRobin),
        (PICK_FIRST, None) => {
            let config: policies::pick_first::v3::PickFirst = extension.message()?;
            flat(LbPolicy::PickFirst { shuffle: config.shuffle_address_list })
        }
        (PICK_FIRST | "pick_first", Some(fields)) => flat(LbPolicy::PickFirst { shuffle: shuffle(fields)? }),
        (LEAST_REQUEST, None) => {
            let config: policies::least_request::v3::LeastRequest = extension.message()?;
            flat(least_request(config.choice_count.map(|count| count.value.into()))?)
        }
        (LEAST_REQUEST | "least_request_experimental", Some(fields)) => {
            flat(least_request(number(fields, &["choice_count", "choiceCount"])?)?)
        }
        (RING_HASH, None) => flat(ring_hash_message(&extension.message()?)?),
        (RING_HASH | "ring_hash_experimental", Some(fields)) => flat(ring_hash_fields(fields)?),
        (WRR_LOCALITY, None) => {
            let config: policies::wrr_locality::v3::WrrLocality = extension.message()?;
            let child = config.endpoint_picking_policy.as_ref().ok_or_else(|| Invalid::new("must be set"));
            let (_, policy) = child
                .and_then(|child| first_supported(child, level + 1))
                .within("endpoint_picking_policy")?;
            Ok(Some((LocalityPolicy::Weighted, policy)))
        }
        _ => Ok(None),
    }
}

// CDS-09
fn least_request(choice_count: Option<u64>) -> Checked<LbPolicy> {
    match choice_count.unwrap_or(2) {
        count @ (0 | 1) => Err(Invalid::at("choice_count", format!("must be at least 2, found {count}"))),
        count => Ok(LbPolicy::LeastRequest { choice_count: count.min(10) as u32 }),
    }
}

fn ring_hash_message(config: &policies::ring_hash::v3::RingHash) -> Checked<LbPolicy> {
    match HashFunction::try_from(config.hash_function) {
        Ok(HashFunction::DefaultHash | HashFunction::XxHash) => ring_hash(
            [config.minimum_ring_size, config.maximum_ring_size].map(|size| size.map(|size| size.value)),
        ),
        _ => Err(Invalid::at("hash_function", "must be XX_HASH")),
    }
}

fn ring_hash_fields(fields: &Struct) -> Checked<LbPolicy> {
    match field(fields, &["hash_function", "hashFunction"]) {
        None => {}
        Some(Kind::StringValue(name)) if name == "XX_HASH" || name == "DEFAULT_HASH" => {}
        Some(_) => return Err(Invalid::at("hash_function", "must be XX_HASH")),
    }
    ring_hash([
        number(fields, &["minimum_ring_size", "minimumRingSize", "minRingSize"])?,
        number(fields, &["maximum_ring_size", "maximumRingSize", "maxRingSize"])?,
    ])
}

// CDS-08
fn ring_hash([min, max]: [Option<u64>; 2]) -> Checked<LbPolicy> {
    for (field, size) in [("minimum_ring_size", min), ("maximum_ring_size", max)] {
        if let Some(size) = size.filter(|size| *size > MAX_RING) {
            return Err(Invalid::at(field, format!("must be at most {MAX_RING}, found {size}")));
        }
    }
    let (min_size, max_size) = (min.unwrap_or(1024), max.unwrap_or(MAX_RING));
    match min_size > max_size {
        true => Err(Invalid::at(
            "minimum_ring_size",
            format!("{min_size} is more than maximum_ring_size {max_size}"),
        )),
        false => Ok(LbPolicy::RingHash(RingHash { min_size, max_size })),
    }
}

fn shuffle(fields: &Struct) -> Checked<bool> {
    match field(fields, &["shuffle_address_list", "shuffleAddressList"]) {
        None => Ok(false),
        Some(Kind::BoolValue(shuffle)) => Ok(*shuffle),
        Some(_) => Err(Invalid::at("shuffle_address_list", "expected true or false")),
    }
}

const MAX_LEVELS: usize = 16;
const MAX_RING: u64 = 8_388_608;
const ROUND_ROBIN: &str = "envoy.extensions.load_balancing_policies.round_robin.v3.RoundRobin";
const PICK_FIRST: &str = "envoy.extensions.load_balancing_policies.pick_first.v3.PickFirst";
const LEAST_REQUEST: &str = "envoy.extensions.load_balancing_policies.least_request.v3.LeastRequest";
const RING_HASH: &str = "envoy.extensions.load_balancing_policies.ring_hash.v3.RingHash";
const WRR_LOCALITY: &str = "envoy.extensions.load_balancing_policies.wrr_locality.v3.WrrLocality";
