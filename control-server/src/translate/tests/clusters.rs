use prost::Message;
use xds_proto::envoy::config::cluster::v3::cluster::{LbConfig, LbPolicy};
use xds_proto::envoy::config::cluster::v3::{Cluster, LoadBalancingPolicy};
use xds_proto::envoy::config::core::v3::config_source::ConfigSourceSpecifier;
use xds_proto::envoy::extensions::load_balancing_policies::subset::v3::Subset;
use xds_proto::envoy::extensions::load_balancing_policies::wrr_locality::v3::WrrLocality;
use xds_proto::envoy::extensions::upstreams::http::v3::HttpProtocolOptions;
use xds_proto::envoy::extensions::upstreams::http::v3::http_protocol_options::UpstreamProtocolOptions;
use xds_proto::envoy::extensions::upstreams::http::v3::http_protocol_options::explicit_http_config::ProtocolConfig;
use xds_proto::google::protobuf::Any;

use super::translate_with_diagnostics;
use super::{LoadReporting, ORDERS, Resources, cluster, document, services, translate, translate_with};

/// `users` with this rule.
fn users(rule: &str) -> Resources {
    translate(&(services() + &document("DestinationRule", "users", &format!("{{host: users, {rule}}}"))))
}

fn of_port(resources: &Resources, port: u32, subset: &str) -> Cluster {
    cluster(resources, &format!("outbound|{port}|{subset}|users.shop.svc.cluster.local"))
}

/// The cluster of a service with this traffic policy.
pub(super) fn only(policy: &str) -> Cluster {
    of_port(&users(&format!("trafficPolicy: {{{policy}}}")), 80, "")
}

fn max_requests(cluster: &Cluster) -> u32 {
    cluster.circuit_breakers.as_ref().unwrap().thresholds[0].max_requests.unwrap().value
}

#[test]
fn service_without_a_rule_is_round_robin_without_a_limit() {
    let cluster = of_port(&translate(&services()), 80, "");
    assert_eq!(cluster.lb_policy(), LbPolicy::RoundRobin);
    assert_eq!(max_requests(&cluster), NO_LIMIT);
    assert_eq!((cluster.lb_config, cluster.outlier_detection, cluster.transport_socket), (None, None, None));
}

#[test]
fn envoy_clusters_use_http2() {
    let cluster = of_port(&translate(&services()), 80, "");
    let options =
        &cluster.typed_extension_protocol_options["envoy.extensions.upstreams.http.v3.HttpProtocolOptions"];
    let options = HttpProtocolOptions::decode(&*options.value).unwrap();
    let Some(UpstreamProtocolOptions::ExplicitHttpConfig(explicit)) = options.upstream_protocol_options
    else {
        panic!("{options:?}");
    };
    assert!(
        matches!(explicit.protocol_config, Some(ProtocolConfig::Http2ProtocolOptions(_))),
        "{explicit:?}"
    );
}

/// Only least request has a list; older clients find what they have in the old field.
fn wanted_policy(cluster: &Cluster) -> LbPolicy {
    if cluster.load_balancing_policy.is_none() {
        return cluster.lb_policy();
    }
    assert_eq!(cluster.lb_policy(), LbPolicy::RoundRobin);
    LbPolicy::LeastRequest
}

/// The policies of a list, without their package.
fn types(list: &LoadBalancingPolicy) -> Vec<String> {
    let package = "type.googleapis.com/envoy.extensions.load_balancing_policies.";
    configs(list).iter().map(|any| any.type_url.replace(package, "")).collect()
}

fn configs(list: &LoadBalancingPolicy) -> Vec<Any> {
    let extensions = list.policies.iter().filter_map(|policy| policy.typed_extension_config.clone());
    extensions.filter_map(|extension| extension.typed_config).collect()
}

#[test]
fn load_balancers_come_with_one_that_every_grpc_client_has() {
    let below_localities = &["subset.v3.Subset", "wrr_locality.v3.WrrLocality"][..];
    let maglev = &["maglev.v3.Maglev", "ring_hash.v3.RingHash"][..];
    let cases = [
        ("simple: ROUND_ROBIN", LbPolicy::RoundRobin, None, &[][..]),
        ("simple: UNSPECIFIED", LbPolicy::RoundRobin, None, &[]),
        ("simple: LEAST_REQUEST", LbPolicy::RoundRobin, None, below_localities),
        ("simple: LEAST_CONN", LbPolicy::RoundRobin, None, below_localities),
        ("simple: RANDOM", LbPolicy::RoundRobin, None, below_localities),
        ("consistentHash: {httpHeaderName: x}", LbPolicy::RingHash, Some(1024), &[]),
        (
            "consistentHash: {httpHeaderName: x, ringHash: {minimumRingSize: 5}}",
            LbPolicy::RingHash,
            Some(5),
            &[],
        ),
        ("consistentHash: {httpHeaderName: x, minimumRingSize: 6}", LbPolicy::RingHash, Some(6), &[]),
        ("consistentHash: {httpHeaderName: x, maglev: {}}", LbPolicy::RingHash, Some(1024), maglev),
        ("consistentHash: {useSourceIp: true}", LbPolicy::RingHash, Some(1024), &[]),
        ("consistentHash: {httpCookie: {name: a, ttl: 0s}}", LbPolicy::RingHash, Some(1024), &[]),
        ("consistentHash: {httpQueryParameterName: a}", LbPolicy::RoundRobin, None, &[]),
    ];
    for (load_balancer, policy, ring_size, list) in cases {
        let cluster = only(&format!("loadBalancer: {{{load_balancer}}}"));
        assert_eq!(cluster.lb_policy(), policy, "{load_balancer}");
        let ring = match cluster.lb_config {
            Some(LbConfig::RingHashLbConfig(ring)) => ring.minimum_ring_size.map(|size| size.value),
            _ => None,
        };
        assert_eq!(ring, ring_size, "{load_balancer}");
        let found = cluster.load_balancing_policy.as_ref().map(types).unwrap_or_default();
        assert_eq!(found, list, "{load_balancer}");
    }
}

/// Some gRPC clients do not have least request, and refuse a cluster that offers nothing else; Envoy refuses it below
/// localities.
#[test]
fn least_request_comes_in_the_forms_that_clients_have() {
    let cluster = only("loadBalancer: {simple: LEAST_REQUEST}");
    let list = cluster.load_balancing_policy.unwrap();
    assert_eq!(types(&list), ["subset.v3.Subset", "wrr_locality.v3.WrrLocality"]);
    let [subset, localities] = configs(&list).try_into().unwrap();
    let subset = Subset::decode(&*subset.value).unwrap();
    assert_eq!(types(&subset.subset_lb_policy.unwrap()), ["least_request.v3.LeastRequest"]);
    let localities = WrrLocality::decode(&*localities.value).unwrap();
    let expected = ["least_request.v3.LeastRequest", "round_robin.v3.RoundRobin"];
    assert_eq!(types(&localities.endpoint_picking_policy.unwrap()), expected);
}

#[test]
fn limit_of_requests_is_always_explicit() {
    assert_eq!(max_requests(&only("connectionPool: {http: {http2MaxRequests: 7}}")), 7);
    assert_eq!(max_requests(&only("connectionPool: {http: {http2MaxRequests: 0}}")), 0);
    assert_eq!(max_requests(&only("connectionPool: {http: {maxRetries: 7}}")), NO_LIMIT);
    let huge = format!("connectionPool: {{http: {{http2MaxRequests: {}}}}}", i32::MAX);
    assert_eq!(max_requests(&only(&huge)), NO_LIMIT);
}

#[test]
fn subsets_policy_wins_field_by_field() {
    let resources = users(
        "trafficPolicy: {loadBalancer: {simple: LEAST_REQUEST}, connectionPool: {http: {http2MaxRequests: 9}}},
         subsets: [{name: a}, {name: b, trafficPolicy: {connectionPool: {http: {http2MaxRequests: 4}}}}]",
    );
    for (subset, limit) in [("", 9), ("a", 9), ("b", 4)] {
        let cluster = of_port(&resources, 80, subset);
        assert_eq!(
            (wanted_policy(&cluster), max_requests(&cluster)),
            (LbPolicy::LeastRequest, limit),
            "{subset}"
        );
    }
}

#[test]
fn port_policy_inherits_nothing() {
    let resources = users(
        "trafficPolicy: {loadBalancer: {simple: LEAST_REQUEST}, connectionPool: {http: {http2MaxRequests: 9}},
            portLevelSettings: [{port: {number: 81}, connectionPool: {http: {http2MaxRequests: 5}}}]},
         subsets: [{name: a, trafficPolicy: {connectionPool: {http: {http2MaxRequests: 4}}}},
            {name: b, trafficPolicy: {portLevelSettings: [{port: {number: 80}, loadBalancer: {simple: ROUND_ROBIN}}]}}]",
    );
    let cases = [
        (80, "", LbPolicy::LeastRequest, 9),
        (81, "", LbPolicy::RoundRobin, 5),
        (80, "a", LbPolicy::LeastRequest, 4),
        (81, "a", LbPolicy::RoundRobin, 5),
        (80, "b", LbPolicy::RoundRobin, NO_LIMIT),
        (81, "b", LbPolicy::LeastRequest, 9),
    ];
    for (port, subset, policy, limit) in cases {
        let cluster = of_port(&resources, port, subset);
        assert_eq!((wanted_policy(&cluster), max_requests(&cluster)), (policy, limit), "{port} {subset}");
    }
}

#[test]
fn cluster_with_tls_that_clients_cannot_do_has_no_endpoint_instead_of_plaintext() {
    let resources = users(
        "trafficPolicy: {portLevelSettings: [{port: {number: 81}, tls: {mode: MUTUAL, clientCertificate: /a, privateKey: /b}}]}",
    );
    let endpoints = |port: u32| {
        let cluster = of_port(&resources, port, "");
        let name = cluster.eds_cluster_config.unwrap().service_name;
        (super::assignment(&resources, &name).endpoints.len(), name)
    };
    assert_eq!(endpoints(80), (1, "outbound|80||users.shop.svc.cluster.local".to_owned()));
    let (count, name) = endpoints(81);
    assert_eq!(count, 0);
    assert!(
        name.contains(
            "TLS of mode MUTUAL of DestinationRule shop/users cannot be served: files of certificates"
        ),
        "{name}"
    );
    let disabled = users("trafficPolicy: {tls: {mode: DISABLE}}");
    assert_eq!(of_port(&disabled, 81, "").transport_socket, None);
}

/// Clusters that ask for load reports are accepted like all others: a refusal would be a diagnostic.
#[test]
fn load_reports_go_to_the_server_that_sent_the_cluster() {
    for (load_reporting, is_asked) in [(LoadReporting::On, true), (LoadReporting::Off, false)] {
        let (resources, diagnostics) = translate_with(load_reporting, &services());
        assert_eq!(diagnostics, []);
        let cluster = cluster(&resources, ORDERS);
        let specifier = cluster.lrs_server.and_then(|source| source.config_source_specifier);
        assert_eq!(specifier, is_asked.then(|| ConfigSourceSpecifier::Self_(Default::default())));
        assert_eq!(cluster.lrs_report_endpoint_metrics.is_empty(), !is_asked);
    }
}

/// The largest number that is positive in every language's integers.
const NO_LIMIT: u32 = i32::MAX.unsigned_abs();

/// Limits of connections, which mesh-tonic and Envoy have and stock gRPC ignores.
#[test]
fn limits_of_connections_are_sent_where_they_are_set() {
    let of = |pool: &str| {
        let rule = format!("{{host: users, trafficPolicy: {{connectionPool: {{{pool}}}}}}}");
        let text = services() + &document("DestinationRule", "users", &rule);
        let (resources, found) = translate_with_diagnostics(&text);
        let cluster = cluster(&resources, "outbound|80||users.shop.svc.cluster.local");
        let limit = &cluster.circuit_breakers.as_ref().unwrap().thresholds[0];
        let options = cluster.typed_extension_protocol_options.values().next().unwrap().value.clone();
        let options = HttpProtocolOptions::decode(&*options).unwrap();
        let common = options.common_http_protocol_options.unwrap_or_default();
        let streams = match options.upstream_protocol_options {
            Some(UpstreamProtocolOptions::ExplicitHttpConfig(explicit)) => match explicit.protocol_config {
                Some(ProtocolConfig::Http2ProtocolOptions(http2)) => http2.max_concurrent_streams,
                other => panic!("{other:?}"),
            },
            other => panic!("{other:?}"),
        };
        let seconds = |time: Option<xds_proto::google::protobuf::Duration>| time.map(|time| time.seconds);
        let number = |number: Option<xds_proto::google::protobuf::UInt32Value>| number.map(|one| one.value);
        let values = [
            number(limit.max_connections).map(i64::from),
            seconds(cluster.connect_timeout),
            seconds(common.idle_timeout),
            number(common.max_requests_per_connection).map(i64::from),
            number(streams).map(i64::from),
        ];
        let clients: Vec<_> = found.into_iter().map(|one| one.clients).collect();
        (values, clients)
    };
    use crate::state::ClientFamily::{Grpc, MeshTonic};
    assert_eq!(of("http: {http2MaxRequests: 5}"), ([None; 5], vec![]));
    let pool = "tcp: {maxConnections: 3, connectTimeout: 2s}, http: {idleTimeout: 60s, maxRequestsPerConnection: 9, \
                maxConcurrentStreams: 7}";
    let clients = vec![vec![Grpc, MeshTonic], vec![Grpc], vec![Grpc], vec![Grpc], vec![Grpc]];
    assert_eq!(of(pool), ([Some(3), Some(2), Some(60), Some(9), Some(7)], clients));
    let zeros = "tcp: {maxConnections: 0, connectTimeout: 0s}, http: {maxRequestsPerConnection: 0, maxConcurrentStreams: 0}";
    assert_eq!(of(zeros).0, [None; 5], "zero is no limit");
}

/// What gRPC clients read in `upstream_config` would make Envoy refuse the cluster.
#[test]
fn options_of_connections_are_where_each_class_of_clients_reads_them() {
    let rule = "{host: users, trafficPolicy: {connectionPool: {http: {idleTimeout: 60s}}}}";
    let set = super::Plane::new(LoadReporting::Off)
        .read(&(services() + &document("DestinationRule", "users", rule)));
    let name = "outbound|80||users.shop.svc.cluster.local";
    let of = |family| {
        let client = crate::resources::ClientScope { family, ..Default::default() };
        let found = set.get_for(crate::resources::ResourceKind::Cluster.into(), name, &client).unwrap();
        Cluster::decode(found.bytes.clone()).unwrap()
    };
    use crate::state::ClientFamily::{Envoy, Grpc, MeshTonic};
    assert_eq!(
        [Envoy, Grpc, MeshTonic].map(|family| of(family).upstream_config.is_some()),
        [false, true, true]
    );
    for family in [Envoy, Grpc, MeshTonic] {
        assert_eq!(of(family).typed_extension_protocol_options.len(), 1, "{family:?}");
    }
    let without = super::Plane::new(LoadReporting::Off).read(&services());
    let scoped = without.scoped(crate::resources::ResourceKind::Cluster, name).unwrap();
    assert_eq!(scoped.iter().count(), 1, "what is the same for all classes stands there once");
}

/// Limits of calls that Envoy alone has.
#[test]
fn limits_of_calls_are_thresholds() {
    let cluster = only(
        "connectionPool: {http: {http1MaxPendingRequests: 3, maxRetries: 4}}, retryBudget: {percent: 25, minRetryConcurrency: 7}",
    );
    let limit = cluster.circuit_breakers.unwrap().thresholds[0];
    let budget = limit.retry_budget.unwrap();
    assert_eq!(limit.max_pending_requests.map(|one| one.value), Some(3));
    assert_eq!(limit.max_retries.map(|one| one.value), Some(4));
    assert_eq!(budget.budget_percent.map(|one| one.value), Some(25.0));
    assert_eq!(budget.min_retry_concurrency.map(|one| one.value), Some(7));
}
