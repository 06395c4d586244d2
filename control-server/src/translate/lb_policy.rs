//! Load-balancing policies: the old field, and a list of which a client uses the first entry that it supports (gRFC A52).
//!
//! What the old field says is for clients without the list; gRPC's libraries refuse most of its values, whatever the list offers
//! (CDS-07).

use prost::Message;
use xds_proto::envoy::config::cluster::v3::cluster as old;
use xds_proto::envoy::config::cluster::v3::cluster::{
    LbConfig, LbPolicy, RingHashLbConfig, RoundRobinLbConfig,
};
use xds_proto::envoy::config::cluster::v3::load_balancing_policy::Policy;
use xds_proto::envoy::config::cluster::v3::{Cluster, LoadBalancingPolicy};
use xds_proto::envoy::config::core::v3::{RuntimeDouble, TypedExtensionConfig};
use xds_proto::envoy::extensions::load_balancing_policies::common::v3::SlowStartConfig;
use xds_proto::envoy::extensions::load_balancing_policies::least_request::v3::LeastRequest;
use xds_proto::envoy::extensions::load_balancing_policies::maglev::v3::Maglev;
use xds_proto::envoy::extensions::load_balancing_policies::random::v3::Random;
use xds_proto::envoy::extensions::load_balancing_policies::ring_hash::v3::RingHash;
use xds_proto::envoy::extensions::load_balancing_policies::round_robin::v3::RoundRobin;
use xds_proto::envoy::extensions::load_balancing_policies::subset::v3::Subset;
use xds_proto::envoy::extensions::load_balancing_policies::subset::v3::subset::LbSubsetFallbackPolicy;
use xds_proto::envoy::extensions::load_balancing_policies::wrr_locality::v3::WrrLocality;
use xds_proto::envoy::r#type::v3::Percent;
use xds_proto::google::protobuf::{Any, UInt64Value};

use super::route::duration;
use crate::model::{LoadBalancing, SlowStart};

/// Sets how a cluster's calls are spread.
pub(super) fn balance(load_balancing: &LoadBalancing, cluster: &mut Cluster) {
    let (policy, list) = match load_balancing {
        LoadBalancing::RoundRobin { slow_start } => {
            // Clients other than mesh-tonic and Envoy read no settings of round robin.
            cluster.lb_config = slow_start.map(|slow_start| {
                let slow_start_config = Some(old_slow_start(slow_start));
                LbConfig::RoundRobinLbConfig(RoundRobinLbConfig { slow_start_config })
            });
            (LbPolicy::RoundRobin, None)
        }
        // gRPC for Go before 1.73 refuses a cluster for the old field's least request, whatever the list offers; clients older
        // than the list read the old field alone.
        LoadBalancing::LeastRequest { slow_start } => {
            let slow_start_config = slow_start.map(self::slow_start);
            let least_request = LeastRequest { slow_start_config, ..LeastRequest::default() };
            (LbPolicy::RoundRobin, Some(below_localities(&policy("least_request", &least_request))))
        }
        LoadBalancing::Random => {
            (LbPolicy::RoundRobin, Some(below_localities(&policy("random", &Random::default()))))
        }
        LoadBalancing::RingHash { min_size } => {
            cluster.lb_config = Some(old_ring(*min_size));
            (LbPolicy::RingHash, None)
        }
        LoadBalancing::Maglev { table_size, min_ring_size } => {
            cluster.lb_config = Some(old_ring(*min_ring_size));
            let maglev = Maglev { table_size: table_size.map(|value| UInt64Value { value }) };
            let ring = RingHash { minimum_ring_size: size(*min_ring_size), ..RingHash::default() };
            let list = list([policy("maglev", &maglev), policy("ring_hash", &ring)]);
            (LbPolicy::RingHash, Some(list))
        }
    };
    cluster.lb_policy = policy.into();
    cluster.load_balancing_policy = list;
}

/// A policy below localities by weight, like the old field (CDS-07); or round robin for clients without it, which refuse a cluster
/// that offers nothing else.
///
/// Envoy has only round robin below localities and refuses a cluster with another policy there. So a policy comes first that no gRPC
/// client supports: Envoy's subsets, with one subset of every endpoint.
fn below_localities(preferred: &Policy) -> LoadBalancingPolicy {
    let all = Subset {
        fallback_policy: LbSubsetFallbackPolicy::AnyEndpoint.into(),
        subset_lb_policy: Some(list([preferred.clone()])),
        ..Subset::default()
    };
    let leaf = list([preferred.clone(), policy("round_robin", &RoundRobin::default())]);
    list([
        policy("subset", &all),
        policy("wrr_locality", &WrrLocality { endpoint_picking_policy: Some(leaf) }),
    ])
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
