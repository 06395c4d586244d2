//! Load-balancing policies: the old `lb_policy` enum and the extensible `load_balancing_policy` (gRFC A42, A48, A52,
//! A62).
//!
//! A message with settings that only Envoy reads, such as slow start, has Envoy's meaning: endpoint weights count. Without them it
//! has gRPC's.
//!
//! A policy in `load_balancing_policy` is directly below the priority, so localities have no effect unless it is
//! `WrrLocality`. The enum means the same policies with `WrrLocality` around them, except ring hash.

mod hashing;
mod registry;
#[cfg(test)]
mod tests;
mod weighted;
#[cfg(test)]
mod weighted_tests;

use std::num::NonZeroU32;

use mesh_core::config::{LbPolicy, LocalityPolicy, Subsetting};
use xds_proto::envoy::config::cluster::v3::cluster::{LbConfig, LbPolicy as OldPolicy, RingHashLbConfig};
use xds_proto::envoy::config::cluster::v3::{Cluster, LoadBalancingPolicy};
use xds_proto::envoy::extensions::load_balancing_policies as policies;
use xds_proto::google::protobuf::Struct;
use xds_proto::google::protobuf::value::Kind;

use crate::resource::Decoding;
use crate::resource::extension::{Extension, field, number};
use crate::resource::invalid::{Checked, Invalid, Within};

pub use registry::{LbPolicyRegistry, LbPolicyType};

type Choice = (LocalityPolicy, LbPolicy);

/// How a cluster's calls are spread over localities and over their endpoints.
pub(super) fn read(cluster: &Cluster, context: &Decoding<'_>) -> Checked<Choice> {
    match &cluster.load_balancing_policy {
        // CDS-06: the enum is not read then, known or not.
        Some(policy) => first_supported(policy, 1, context).within("load_balancing_policy"),
        None => old(cluster),
    }
}

// CDS-07
fn old(cluster: &Cluster) -> Checked<Choice> {
    match OldPolicy::try_from(cluster.lb_policy) {
        Ok(OldPolicy::RoundRobin) => {
            let policy = match &cluster.lb_config {
                Some(LbConfig::RoundRobinLbConfig(config)) => weighted::old_round_robin(config),
                _ => Ok(LbPolicy::RoundRobin),
            };
            Ok((LocalityPolicy::Weighted, policy.within("round_robin_lb_config")?))
        }
        Ok(OldPolicy::LeastRequest) => {
            let policy = match &cluster.lb_config {
                Some(LbConfig::LeastRequestLbConfig(config)) => weighted::old_least_request(config),
                _ => weighted::least_request(None),
            };
            Ok((LocalityPolicy::Weighted, policy.within("least_request_lb_config")?))
        }
        Ok(OldPolicy::RingHash) => {
            let config = match &cluster.lb_config {
                Some(LbConfig::RingHashLbConfig(config)) => *config,
                _ => RingHashLbConfig::default(),
            };
            let policy = hashing::old_ring_hash(&config);
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
fn first_supported(policy: &LoadBalancingPolicy, level: usize, context: &Decoding<'_>) -> Checked<Choice> {
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
            let choice = registered(&extension, level, context)?;
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
fn registered(extension: &Extension<'_>, level: usize, context: &Decoding<'_>) -> Checked<Option<Choice>> {
    let flat = |policy| Ok(Some((LocalityPolicy::Flat, policy)));
    match (extension.type_name(), extension.fields()) {
        (ROUND_ROBIN, None) => flat(weighted::round_robin(&extension.message()?)?),
        (ROUND_ROBIN | "round_robin", Some(_)) => flat(LbPolicy::RoundRobin),
        (PICK_FIRST, None) => {
            let config: policies::pick_first::v3::PickFirst = extension.message()?;
            flat(LbPolicy::PickFirst { shuffle: config.shuffle_address_list })
        }
        (PICK_FIRST | "pick_first", Some(fields)) => flat(LbPolicy::PickFirst { shuffle: shuffle(fields)? }),
        (LEAST_REQUEST, None) => flat(weighted::least_request_message(&extension.message()?)?),
        (LEAST_REQUEST | "least_request_experimental", Some(fields)) => {
            flat(weighted::least_request(number(fields, &["choice_count", "choiceCount"])?)?)
        }
        (REPORTED_WEIGHTS, None) => flat(weighted::reported(&extension.message()?)?),
        (REPORTED_WEIGHTS | "weighted_round_robin", Some(fields)) => flat(weighted::reported_fields(fields)?),
        (RANDOM, None) => {
            extension.well_formed::<policies::random::v3::Random>()?;
            flat(LbPolicy::Random)
        }
        (RANDOM, Some(_)) => flat(LbPolicy::Random),
        (RING_HASH, None) => flat(hashing::ring_hash_message(&extension.message()?)?),
        (RING_HASH | "ring_hash_experimental", Some(fields)) => flat(hashing::ring_hash_fields(fields)?),
        (MAGLEV, None) => {
            let config: policies::maglev::v3::Maglev = extension.message()?;
            flat(hashing::maglev(config.table_size.map(|size| size.value))?)
        }
        (MAGLEV, Some(fields)) => flat(hashing::maglev(number(fields, &["table_size", "tableSize"])?)?),
        (SUBSETTING, None) => {
            let config: policies::random_subsetting::v3::RandomSubsetting = extension.message()?;
            let size = config.subset_size.and_then(|size| NonZeroU32::new(size.value));
            let size = size.ok_or_else(|| Invalid::at("subset_size", "must be above 0"))?;
            let child = config.child_policy.as_ref().ok_or_else(|| Invalid::new("must be set"));
            let child = child.and_then(|child| first_supported(child, level + 1, context));
            let (LocalityPolicy::Flat, policy) = child.within("child_policy")? else {
                return Err(Invalid::at("child_policy", "wrr_locality below subsetting is not supported"));
            };
            flat(LbPolicy::Subsetting(Subsetting::random(size, policy)))
        }
        ("peak_ewma", Some(fields)) => flat(weighted::peak_ewma(fields)?),
        (WRR_LOCALITY, None) => {
            let config: policies::wrr_locality::v3::WrrLocality = extension.message()?;
            let child = config.endpoint_picking_policy.as_ref().ok_or_else(|| Invalid::new("must be set"));
            let (_, policy) = child
                .and_then(|child| first_supported(child, level + 1, context))
                .within("endpoint_picking_policy")?;
            Ok(Some((LocalityPolicy::Weighted, policy)))
        }
        (name, _) => match context.lb_policies.of_type(name) {
            Some(policy) => flat(LbPolicy::Custom(policy.decode(&extension.payload(context))?)),
            None => Ok(None),
        },
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
const ROUND_ROBIN: &str = "envoy.extensions.load_balancing_policies.round_robin.v3.RoundRobin";
const PICK_FIRST: &str = "envoy.extensions.load_balancing_policies.pick_first.v3.PickFirst";
const LEAST_REQUEST: &str = "envoy.extensions.load_balancing_policies.least_request.v3.LeastRequest";
const REPORTED_WEIGHTS: &str = "envoy.extensions.load_balancing_policies.client_side_weighted_round_robin.v3.ClientSideWeightedRoundRobin";
const RANDOM: &str = "envoy.extensions.load_balancing_policies.random.v3.Random";
const RING_HASH: &str = "envoy.extensions.load_balancing_policies.ring_hash.v3.RingHash";
const MAGLEV: &str = "envoy.extensions.load_balancing_policies.maglev.v3.Maglev";
const SUBSETTING: &str = "envoy.extensions.load_balancing_policies.random_subsetting.v3.RandomSubsetting";
const WRR_LOCALITY: &str = "envoy.extensions.load_balancing_policies.wrr_locality.v3.WrrLocality";
