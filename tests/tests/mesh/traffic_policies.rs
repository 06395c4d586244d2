//! `TrafficPolicy` and `MeshConfig`, from YAML to calls of our client.

use std::collections::BTreeSet;
use std::num::NonZeroU32;
use std::time::Duration;

use examples::service::GreeterService;
use mesh_core::config::{
    LbPolicy, PeakEwma, ReportedWeights, ServerChain, ServerConfig, ServerRoutes, SubsetMethod, WeightSource,
    WeightedRoundRobin,
};
use mesh_tonic::{HealthService, MeshServer};
use tests::mesh::MeshClient;
use tests::yaml::Endpoint;
use tonic::Code;
use tonic::service::Routes;

use crate::embedded::{client, document, endpoint, of_text, service, settings, until_all_answer};

const OURS: &str = "mesh.dev/v1alpha1";

/// A policy for the greeter's service.
fn policy(defaults: &str) -> String {
    let spec = format!("{{targetRefs: [{{kind: Service, name: greeter}}], defaults: {{{defaults}}}}}");
    document(OURS, "TrafficPolicy", "greeter", &spec)
}

/// A route of one rule, `all`.
fn grpc_route() -> String {
    let spec = "{parentRefs: [{group: \"\", kind: Service, name: greeter}], rules: [{name: all, backendRefs: [{name: greeter, port: \
                50051}]}]}";
    document("gateway.networking.k8s.io/v1", "GRPCRoute", "greeter", spec)
}

/// A policy for a rule of that route.
fn route_policy(defaults: &str) -> String {
    let target = "{group: gateway.networking.k8s.io, kind: GRPCRoute, name: greeter, sectionName: all}";
    let spec = format!("{{targetRefs: [{target}], defaults: {{{defaults}}}}}");
    document(OURS, "TrafficPolicy", "route", &spec)
}

async fn code(client: &MeshClient, behavior: &str) -> Code {
    let metadata = [("rpc-behavior", behavior)];
    let call = client.hello_with(&metadata);
    let answer = tokio::time::timeout(tests::PATIENCE, call).await.expect("the call does not end");
    answer.err().map_or(Code::Ok, |status| status.code())
}

#[tokio::test]
async fn hedging_goes_round_an_endpoint_that_hangs() {
    let client = client(2, &policy("hedging: {delay: 50ms, attempts: 1}")).await;
    for _ in 0..10 {
        let call = client.hello_with(&[("rpc-behavior", "hostname=e0,keep-open")]);
        let answer = tokio::time::timeout(tests::PATIENCE, call).await.expect("the call hangs");
        assert_eq!(answer.unwrap().endpoint, "e1");
    }
}

#[tokio::test]
async fn rule_of_a_grpc_route_gets_its_timeout() {
    let client = client(1, &(grpc_route() + &route_policy("timeout: 200ms"))).await;
    client.hello().await.unwrap();
    assert_eq!(code(&client, "keep-open").await, Code::DeadlineExceeded);
}

#[tokio::test]
async fn rule_of_a_grpc_route_gets_its_retries() {
    let flaky = "error-code-8,succeed-on-retry-attempt-2";
    let without = client(1, &grpc_route()).await;
    assert_eq!(code(&without, flaky).await, Code::ResourceExhausted);
    let retry = "retry: {attempts: 2, conditions: [resource-exhausted], backoff: 1ms}";
    let with = client(1, &(grpc_route() + &route_policy(retry))).await;
    assert_eq!(code(&with, flaky).await, Code::Ok);
    assert_eq!(code(&with, "error-code-8,succeed-on-retry-attempt-3").await, Code::ResourceExhausted);
}

#[tokio::test]
async fn attempt_of_a_service_without_routes_has_its_own_timeout() {
    let retry = "retry: {attempts: 4, conditions: [reset], perTryTimeout: 100ms, backoff: 1ms}";
    let client = client(2, &policy(retry)).await;
    for _ in 0..4 {
        let call = client.hello_with(&[("rpc-behavior", "hostname=e0,keep-open")]);
        let answer = tokio::time::timeout(tests::PATIENCE, call).await.expect("the call hangs");
        assert_eq!(answer.unwrap().endpoint, "e1");
    }
}

#[tokio::test]
async fn client_uses_a_subset_of_the_endpoints() {
    let client = client(4, &policy("loadBalancer: {policy: RoundRobin, subsetSize: 1}")).await;
    let mut endpoints = BTreeSet::new();
    for _ in 0..40 {
        endpoints.insert(client.hello().await.unwrap().endpoint);
    }
    assert_eq!(endpoints.len(), 1, "{endpoints:?}");
}

#[tokio::test]
async fn load_balancers_reach_the_client() {
    let mut peak_ewma = PeakEwma::default();
    peak_ewma.decay = Duration::from_millis(2500);
    let mut reported = ReportedWeights::default();
    reported.out_of_band = Some(Duration::from_secs(20));
    let by_load = WeightedRoundRobin::new(WeightSource::Reported(reported));
    let rows = [
        ("policy: PeakEwma, decay: 2.5s", LbPolicy::PeakEwma(peak_ewma)),
        ("policy: ReportedLoad, reportInterval: 20s", LbPolicy::WeightedRoundRobin(by_load)),
        ("policy: LeastRequest", LbPolicy::LeastRequest { choice_count: 2 }),
    ];
    for (load_balancer, expected) in rows {
        let alone = client(1, &policy(&format!("loadBalancer: {{{load_balancer}}}"))).await;
        assert_eq!(settings(&alone).await.lb_policy, expected, "{load_balancer}");
        alone.hello().await.unwrap();
        let subset = client(1, &policy(&format!("loadBalancer: {{{load_balancer}, subsetSize: 3}}"))).await;
        let LbPolicy::Subsetting(subsetting) = settings(&subset).await.lb_policy else {
            panic!("{load_balancer}: no subsets");
        };
        assert_eq!((subsetting.size, subsetting.method), (NonZeroU32::new(3).unwrap(), SubsetMethod::Random));
        assert_eq!(*subsetting.policy, expected);
    }
}

#[tokio::test]
async fn mesh_wide_default_holds_for_services_without_anything() {
    let config = "---\napiVersion: mesh.dev/v1alpha1\nkind: MeshConfig\nmetadata: {name: mesh, namespace: istio-system}\nspec: \
                  {defaultTrafficPolicy: {timeout: 200ms, connectionPool: {http: {http2MaxRequests: 77}}}}\n";
    let with_default = client(1, config).await;
    assert_eq!(settings(&with_default).await.limits.max_requests.0, 77);
    with_default.hello().await.unwrap();
    assert_eq!(code(&with_default, "keep-open").await, Code::DeadlineExceeded);
}

/// The first endpoint has no health service, and so is not healthy; the second says that it serves.
#[tokio::test]
async fn endpoint_that_fails_its_check_gets_no_calls() {
    let unchecked = endpoint("e0", "v1").await;
    let config = ServerConfig::of_chain(ServerChain::new(ServerRoutes::all())).unwrap();
    let server = MeshServer::fixed(config, "127.0.0.1:0").await.unwrap();
    let checked = server.local_addr();
    let health = HealthService::of(&server.handle(), ["mesh.Greeter"]);
    let greeter = GreeterService::new("e1", "v1").into_server();
    tokio::spawn(server.serve(Routes::new(greeter).add_service(health)));
    let services = service(&[Endpoint::new(unchecked, "v1"), Endpoint::new(checked, "v1")]);
    for check in ["grpc: {service: mesh.Greeter}", "grpc: {}"] {
        let policy = policy(&format!("healthCheck: {{{check}, interval: 100ms, timeout: 30s}}"));
        let client = of_text(&(services.clone() + &policy));
        for _ in 0..10 {
            assert_eq!(client.hello().await.unwrap().endpoint, "e1", "{check}");
        }
    }
    let both = of_text(&(services + &policy("healthCheck: {tcp: {}, interval: 100ms, timeout: 30s}")));
    until_all_answer(&both, 2).await;
}
