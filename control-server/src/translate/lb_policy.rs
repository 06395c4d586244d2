//! Load-balancing policies as a list; a client uses the first that it supports (gRFC A52).

use prost::Message;
use xds_proto::envoy::config::cluster::v3::LoadBalancingPolicy;
use xds_proto::envoy::config::cluster::v3::load_balancing_policy::Policy;
use xds_proto::envoy::config::core::v3::TypedExtensionConfig;
use xds_proto::envoy::extensions::load_balancing_policies::least_request::v3::LeastRequest;
use xds_proto::envoy::extensions::load_balancing_policies::round_robin::v3::RoundRobin;
use xds_proto::envoy::extensions::load_balancing_policies::subset::v3::Subset;
use xds_proto::envoy::extensions::load_balancing_policies::subset::v3::subset::LbSubsetFallbackPolicy;
use xds_proto::envoy::extensions::load_balancing_policies::wrr_locality::v3::WrrLocality;
use xds_proto::google::protobuf::Any;

/// Least request, or round robin for clients without it: gRPC for C++, Python and Ruby refuses a cluster
/// whose only policy is least request. Below localities by weight, like the old field (CDS-07).
///
/// Envoy has no least request below localities and refuses a cluster with it. So a policy comes first that no gRPC
/// client supports: Envoy's subsets, with one subset of every endpoint.
pub(super) fn least_request() -> LoadBalancingPolicy {
    let least_request = policy("least_request", &LeastRequest::default());
    let all = Subset {
        fallback_policy: LbSubsetFallbackPolicy::AnyEndpoint.into(),
        subset_lb_policy: Some(list([least_request.clone()])),
        ..Subset::default()
    };
    let leaf = list([least_request, policy("round_robin", &RoundRobin::default())]);
    list([
        policy("subset", &all),
        policy("wrr_locality", &WrrLocality { endpoint_picking_policy: Some(leaf) }),
    ])
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
