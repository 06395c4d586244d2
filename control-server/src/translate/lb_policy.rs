//! Load-balancing policies: the old field, and a list of which a client uses the first entry that it supports (gRFC A52).
//!
//! What the old field says is for clients without the list; gRPC's libraries refuse most of its values, whatever the list offers
//! (CDS-07).

use std::time::Duration;

use prost::Message;
use xds_proto::envoy::config::cluster::v3::cluster as old;
use xds_proto::envoy::config::cluster::v3::cluster::{
    LbConfig, LbPolicy, RingHashLbConfig, RoundRobinLbConfig,
};
use xds_proto::envoy::config::cluster::v3::load_balancing_policy::Policy;
use xds_proto::envoy::config::cluster::v3::{Cluster, LoadBalancingPolicy};
use xds_proto::envoy::config::core::v3::{RuntimeDouble, TypedExtensionConfig};
use xds_proto::envoy::extensions::load_balancing_policies::client_side_weighted_round_robin::v3::ClientSideWeightedRoundRobin;
use xds_proto::envoy::extensions::load_balancing_policies::common::v3::SlowStartConfig;
use xds_proto::envoy::extensions::load_balancing_policies::least_request::v3::LeastRequest;
use xds_proto::envoy::extensions::load_balancing_policies::maglev::v3::Maglev;
use xds_proto::envoy::extensions::load_balancing_policies::random::v3::Random;
use xds_proto::envoy::extensions::load_balancing_policies::random_subsetting::v3::RandomSubsetting;
use xds_proto::envoy::extensions::load_balancing_policies::ring_hash::v3::RingHash;
use xds_proto::envoy::extensions::load_balancing_policies::round_robin::v3::RoundRobin;
use xds_proto::envoy::extensions::load_balancing_policies::subset::v3::Subset;
use xds_proto::envoy::extensions::load_balancing_policies::subset::v3::subset::LbSubsetFallbackPolicy;
use xds_proto::envoy::extensions::load_balancing_policies::wrr_locality::v3::WrrLocality;
use xds_proto::envoy::r#type::v3::Percent;
use xds_proto::google::protobuf::value::Kind;
use xds_proto::google::protobuf::{Any, BoolValue, Struct, UInt32Value, UInt64Value, Value};

use super::route::duration;
use crate::model::{self, LoadBalancing, SlowStart};

/// Sets how a cluster's calls are spread.
pub(super) fn balance(of: &model::Policy, cluster: &mut Cluster) {
    let old_policy = match &of.load_balancing {
        LoadBalancing::RoundRobin { slow_start } => {
            // Clients other than mesh-tonic and Envoy read no settings of round robin.
            cluster.lb_config = slow_start.map(|slow_start| {
                let slow_start_config = Some(old_slow_start(slow_start));
                LbConfig::RoundRobinLbConfig(RoundRobinLbConfig { slow_start_config })
            });
            LbPolicy::RoundRobin
        }
        LoadBalancing::RingHash { min_size: size } | LoadBalancing::Maglev { min_ring_size: size, .. } => {
            cluster.lb_config = Some(old_ring(*size));
            LbPolicy::RingHash
        }
        // gRPC for Go before 1.73 refuses a cluster for the old field's least request, whatever the list offers; clients older
        // than the list read the old field alone.
        LoadBalancing::LeastRequest { .. }
        | LoadBalancing::Random
        | LoadBalancing::PeakEwma { .. }
        | LoadBalancing::ReportedLoad { .. } => LbPolicy::RoundRobin,
    };
    cluster.lb_policy = old_policy.into();
    cluster.load_balancing_policy = self::list_of(of);
}

/// The list; `None` where the old field says all.
fn list_of(of: &model::Policy) -> Option<LoadBalancingPolicy> {
    let slow_start = |slow_start: &Option<SlowStart>| slow_start.map(self::slow_start);
    let least_request = |of: &Option<SlowStart>| {
        let slow_start_config = slow_start(of);
        policy("least_request", &LeastRequest { slow_start_config, ..LeastRequest::default() })
    };
    let round_robin =
        |of: &Option<SlowStart>| policy("round_robin", &RoundRobin { slow_start_config: slow_start(of) });
    let (preferred, for_envoy) = match &of.load_balancing {
        LoadBalancing::RingHash { .. } => return None,
        LoadBalancing::Maglev { table_size, min_ring_size } => {
            let maglev = Maglev { table_size: table_size.map(|value| UInt64Value { value }) };
            let ring = RingHash { minimum_ring_size: size(*min_ring_size), ..RingHash::default() };
            return Some(list([policy("maglev", &maglev), policy("ring_hash", &ring)]));
        }
        LoadBalancing::RoundRobin { .. } if of.subset_size.is_none() => return None,
        LoadBalancing::RoundRobin { slow_start } => (vec![round_robin(slow_start)], round_robin(slow_start)),
        LoadBalancing::LeastRequest { slow_start } => {
            (vec![least_request(slow_start)], least_request(slow_start))
        }
        LoadBalancing::Random => {
            let random = policy("random", &Random::default());
            (vec![random.clone()], random)
        }
        LoadBalancing::PeakEwma { decay, slow_start } => {
            let least_request = least_request(slow_start);
            (vec![peak_ewma(*decay, *slow_start), least_request.clone()], least_request)
        }
        LoadBalancing::ReportedLoad { interval, slow_start } => {
            let config = ClientSideWeightedRoundRobin {
                enable_oob_load_report: interval.map(|_| BoolValue { value: true }),
                oob_reporting_period: interval.map(duration),
                slow_start_config: slow_start.map(self::slow_start),
                ..ClientSideWeightedRoundRobin::default()
            };
            (vec![policy("client_side_weighted_round_robin", &config)], round_robin(slow_start))
        }
    };
    Some(below_localities(preferred, for_envoy, of.subset_size))
}

/// Policies below localities by weight, like the old field (CDS-07), of which a client takes the first that it has; and round robin
/// for clients without any of them, which refuse a cluster that offers nothing else.
///
/// Envoy has only round robin below localities and refuses a cluster with another policy there. So a policy comes first that no gRPC
/// client supports: Envoy's subsets, with one subset of every endpoint.
fn below_localities(
    preferred: Vec<Policy>,
    for_envoy: Policy,
    subset_size: Option<u32>,
) -> LoadBalancingPolicy {
    let all = Subset {
        fallback_policy: LbSubsetFallbackPolicy::AnyEndpoint.into(),
        subset_lb_policy: Some(list([for_envoy])),
        ..Subset::default()
    };
    let mut leaves = preferred;
    leaves.push(policy("round_robin", &RoundRobin::default()));
    if let Some(size) = subset_size {
        let subset_size = Some(UInt32Value { value: size });
        let subsetting = RandomSubsetting { subset_size, child_policy: Some(list(leaves.clone())) };
        leaves.insert(0, policy("random_subsetting", &subsetting));
    }
    list([
        policy("subset", &all),
        policy("wrr_locality", &WrrLocality { endpoint_picking_policy: Some(list(leaves)) }),
    ])
}

/// Our own policy, for which no message exists.
fn peak_ewma(decay: Option<Duration>, slow_start: Option<SlowStart>) -> Policy {
    let text = |time: Duration| Kind::StringValue(format!("{}.{:09}s", time.as_secs(), time.subsec_nanos()));
    let section = |fields: Vec<(&str, Kind)>| Struct {
        fields: fields
            .into_iter()
            .map(|(name, kind)| (name.to_owned(), Value { kind: Some(kind) }))
            .collect(),
    };
    let slow_start = slow_start.map(|of| {
        let fields = section(vec![
            ("slowStartWindow", text(of.window)),
            ("aggression", Kind::NumberValue(of.aggression)),
            ("minWeightPercent", Kind::NumberValue(of.min_weight_percent)),
        ]);
        ("slowStartConfig", Kind::StructValue(fields))
    });
    let decay = decay.map(|decay| ("decay", text(decay)));
    let config = TypedStruct {
        type_url: "type.googleapis.com/peak_ewma".to_owned(),
        value: Some(section(decay.into_iter().chain(slow_start).collect())),
    };
    let type_url = "type.googleapis.com/xds.type.v3.TypedStruct".to_owned();
    let typed_config = Some(Any { type_url, value: config.encode_to_vec() });
    let name = "peak_ewma".to_owned();
    Policy { typed_extension_config: Some(TypedExtensionConfig { name, typed_config }) }
}

/// `xds.type.v3.TypedStruct`: settings of a policy by its name.
#[derive(Clone, PartialEq, ::prost::Message)]
struct TypedStruct {
    #[prost(string, tag = "1")]
    type_url: String,
    #[prost(message, optional, tag = "2")]
    value: Option<Struct>,
}

fn old_ring(min_size: u64) -> LbConfig {
    LbConfig::RingHashLbConfig(RingHashLbConfig {
        minimum_ring_size: size(min_size),
        ..RingHashLbConfig::default()
    })
}

fn size(value: u64) -> Option<UInt64Value> {
    Some(UInt64Value { value })
}

fn old_slow_start(of: SlowStart) -> old::SlowStartConfig {
    let SlowStartConfig { slow_start_window, aggression, min_weight_percent } = slow_start(of);
    old::SlowStartConfig { slow_start_window, aggression, min_weight_percent }
}

fn slow_start(of: SlowStart) -> SlowStartConfig {
    SlowStartConfig {
        slow_start_window: Some(duration(of.window)),
        // Envoy looks the key up at run time, and refuses an empty one.
        aggression: Some(RuntimeDouble {
            default_value: of.aggression,
            runtime_key: "upstream.slow_start.aggression".to_owned(),
        }),
        min_weight_percent: Some(Percent { value: of.min_weight_percent }),
    }
}

fn list(policies: impl IntoIterator<Item = Policy>) -> LoadBalancingPolicy {
    LoadBalancingPolicy { policies: policies.into_iter().collect() }
}

fn policy(short: &str, config: &impl Message) -> Policy {
    let camel: String = short.split('_').map(capitalised).collect();
    let type_url = format!("type.googleapis.com/envoy.extensions.load_balancing_policies.{short}.v3.{camel}");
    let typed_config = Some(Any { type_url, value: config.encode_to_vec() });
    let name = format!("envoy.load_balancing_policies.{short}");
    Policy { typed_extension_config: Some(TypedExtensionConfig { name, typed_config }) }
}

fn capitalised(word: &str) -> String {
    let (first, rest) = word.split_at(word.len().min(1));
    first.to_ascii_uppercase() + rest
}
