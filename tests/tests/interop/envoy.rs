//! A real Envoy as client of our control-server: calls pass through it to endpoints that it has from there.

use std::net::SocketAddr;

use serde_json::Value;
use tests::envoy::Envoy;
use tests::python::Python;
use tests::stock::Server;
use tests::stock::{Calls, Client, Report};
use tests::yaml::{self, Endpoint, everything, split};
use tests::{ConfigDir, ControlServer, eventually};
use xds_client::transport::Variant;

/// A control-server, an Envoy that follows it, endpoints behind that and a client in front of it.
pub(super) struct Stage {
    control: ControlServer,
    servers: Vec<Server>,
    envoy: Envoy,
    pub(super) client: Client,
}

impl Stage {
    /// Endpoints e0, e1, .. of these versions, each with its further arguments; `None` without Envoy.
    pub(super) async fn start(
        test: &str,
        variant: Variant,
        rules: &[&str],
        endpoints: &[(&str, &[&str])],
    ) -> Option<Self> {
        let program = Envoy::find(test)?;
        let python = Python::find(test)?;
        let mut servers = Vec::new();
        for (index, (version, arguments)) in endpoints.iter().enumerate() {
            servers.push(python.server(&format!("e{index}"), version, arguments, None).await);
        }
        let config = ConfigDir::new();
        let endpoints: Vec<_> = servers
            .iter()
            .zip(endpoints)
            .map(|(server, (version, _))| Endpoint::new(server.address, version))
            .collect();
        config.write("service.yaml", &yaml::service(&endpoints));
        config.write("routes.yaml", &yaml::routes(rules));
        let control = ControlServer::start(config).await;
        let envoy = Envoy::start(program, &control, variant).await;
        let client = python.client(&envoy.address.to_string(), None).await;
        Some(Self { control, servers, envoy, client })
    }

    fn routes(&self, rules: &[&str]) {
        self.control.config.write("routes.yaml", &yaml::routes(rules));
    }

    /// Only these of the endpoints, all of version v1.
    fn only(&self, indices: &[usize]) {
        let endpoints: Vec<_> =
            indices.iter().map(|index| Endpoint::new(self.servers[*index].address, "v1")).collect();
        self.control.config.write("service.yaml", &yaml::service(&endpoints));
    }

    /// Calls until `is_reached` likes the report.
    async fn until(&mut self, what: &str, calls: Calls, is_reached: impl Fn(&Report) -> bool) {
        eventually(what, async || {
            let report = self.client.call(calls.clone()).await;
            if is_reached(&report) { Ok(()) } else { Err(format!("{report:?}")) }
        })
        .await;
    }

    async fn until_version_answers(&mut self, version: &str) {
        self.until(&format!("{version} answers"), Calls::new(20).wait_for_ready(), |report| {
            report.versions.get(version) == Some(&20)
        })
        .await;
    }

    /// The control-server has seen an ACK of everything and Envoy knows of no error; gives the former's word on it.
    pub(super) async fn until_all_is_accepted(&self) -> Value {
        let seen = eventually("Envoy has accepted everything", async || {
            let seen: Value = self.control.admin("/v1/clients").await;
            if seen["clients"][0]["state"] == "SYNCED" { Ok(seen) } else { Err(seen.to_string()) }
        })
        .await;
        assert_eq!(self.envoy.refusals().await, [""; 0]);
        let rejected = self.envoy.stats("update_rejected").await;
        assert!(!rejected.is_empty() && rejected.values().all(|count| *count == 0), "{rejected:?}");
        seen["clients"][0].clone()
    }
}

fn everything_to(subset: &str) -> String {
    format!("{{{}}}", split(&[(subset, 1)]))
}

async fn calls_of_every_kind_pass(variant: Variant) {
    let rule =
        format!("{{match: [{{uri: {{exact: /mesh.examples.v1.Greeter/Chat}}}}], {}}}", split(&[("v2", 1)]));
    let rules = [&*rule, &everything_to("v1")];
    let Some(mut stage) = Stage::start("Envoy", variant, &rules, &[("v1", &[]), ("v2", &[])]).await else {
        return;
    };
    stage.until_version_answers("v1").await;
    for (method, version) in [("SayHello", "v1"), ("SayHellos", "v1"), ("GatherHellos", "v1"), ("Chat", "v2")]
    {
        let report = stage.client.call(Calls::new(50).method(method)).await;
        let answered = report.versions.get(version);
        assert_eq!((report.failed(), answered), (0, Some(&50)), "{method}: {report:?}");
    }
    let client = stage.until_all_is_accepted().await;
    assert_eq!((&client["user_agent"], &client["types"][0]["wildcard"]), (&"envoy".into(), &true.into()));
}

async fn changes_take_effect_without_a_failed_call(variant: Variant) {
    let endpoints = [("v1", &[] as &[_]), ("v1", &[]), ("v2", &[])];
    let rules = [&*everything_to("v1")];
    let Some(mut stage) = Stage::start("changes through Envoy", variant, &rules, &endpoints).await else {
        return;
    };
    stage.until_version_answers("v1").await;
    stage.client.start(Calls::per_second(100)).await;
    stage.only(&[1]);
    stage.until("e1 alone answers", Calls::new(20), |report| report.endpoints.get("e1") == Some(&20)).await;
    stage.servers[0].process.terminate().await;
    let endpoints: Vec<_> = [(1, "v1"), (2, "v2")]
        .map(|(index, version)| Endpoint::new(stage.servers[index].address, version))
        .into();
    stage.control.config.write("service.yaml", &yaml::service(&endpoints));
    stage.routes(&[&everything_to("v2")]);
    stage.until_version_answers("v2").await;
    let report = stage.client.stop().await;
    assert!(report.calls > 0 && report.failed() == 0, "{report:?}");
    stage.until_all_is_accepted().await;
}

/// CS-09: an Envoy fails calls on a route to a cluster that is not warm.
async fn a_new_service_and_the_route_to_it_may_come_at_once(variant: Variant) {
    let Some(mut stage) =
        Stage::start("new services in Envoy", variant, &[&everything_to("v1")], &[("v1", &[]), ("v2", &[])])
            .await
    else {
        return;
    };
    stage.until_version_answers("v1").await;
    stage.client.start(Calls::per_second(500)).await;
    for round in 0..10 {
        let version = ["v2", "v1"][round % 2];
        let service = service_with_policy(
            &format!("new{round}"),
            "loadBalancer: {simple: ROUND_ROBIN}",
            stage.servers[(round + 1) % 2].address,
        );
        let rule = format!("{{route: [{{destination: {{host: new{round}.shop.svc.cluster.local}}}}]}}");
        stage.control.config.write("routes.yaml", &format!("{}{service}", yaml::routes(&[&rule])));
        stage.until_version_answers(version).await;
    }
    let report = stage.client.stop().await;
    assert!(report.calls > 0 && report.failed() == 0, "{report:?}");
}

async fn losing_the_control_server_changes_nothing(variant: Variant) {
    let rules = [&*everything_to("v1")];
    let endpoints = [("v1", &[] as &[_]), ("v2", &[])];
    let Some(mut stage) = Stage::start("control-server lost to Envoy", variant, &rules, &endpoints).await
    else {
        return;
    };
    stage.until_version_answers("v1").await;
    stage.client.start(Calls::per_second(100)).await;
    stage.control.kill().await;
    let report = stage.client.call(Calls::new(100)).await;
    assert_eq!((report.failed(), report.versions.get("v1")), (0, Some(&100)), "{report:?}");
    stage.control.restart().await;
    stage.until_all_is_accepted().await;
    stage.routes(&[&everything_to("v2")]);
    stage.until_version_answers("v2").await;
    let report = stage.client.stop().await;
    assert!(report.calls > 0 && report.failed() == 0, "{report:?}");
}

async fn retries_and_timeouts_are_those_of_the_route(variant: Variant) {
    let rule = format!("{{timeout: 1s, retries: {{attempts: 3, retryOn: unavailable}}, {}}}", everything());
    let endpoints = [("v1", &["--fail-times", "3"] as &[_])];
    let Some(mut stage) = Stage::start("policies in Envoy", variant, &[&rule], &endpoints).await else {
        return;
    };
    let report = stage.client.call(Calls::new(1).wait_for_ready()).await;
    assert_eq!(report.code("OK"), 1, "the fourth attempt succeeds: {report:?}");
    let slow = Calls::new(3).concurrently(3).metadata("rpc-behavior", "sleep-4");
    let report = stage.client.call(slow).await;
    assert_eq!(report.code("DEADLINE_EXCEEDED"), 3, "{report:?}");
    assert!(report.latency_ms["max"] < 3_000.0, "{report:?}");
}

/// Every kind of policy in the configuration, for what they become.
async fn whatever_the_kinds_become_is_accepted(variant: Variant) {
    let Some(stage) = Stage::start("kinds in Envoy", variant, &[&everything_to("v1")], &[("v1", &[])]).await
    else {
        return;
    };
    let address = stage.servers[0].address;
    let mut text = String::new();
    let policies = [
        "loadBalancer: {simple: LEAST_REQUEST}",
        "loadBalancer: {consistentHash: {httpHeaderName: x-user, ringHash: {minimumRingSize: 64}}}",
        "connectionPool: {http: {http2MaxRequests: 7}}",
        "outlierDetection: {consecutive5xxErrors: 5, interval: 2s, baseEjectionTime: 3s, maxEjectionPercent: 50}",
        "outlierDetection: {consecutiveGatewayErrors: 3, splitExternalLocalOriginErrors: true, minHealthPercent: 20}",
        "outlierDetection: {consecutiveLocalOriginFailures: 4, outlierDetectionHttpErrorCodes: [429, 503]}",
    ];
    for (index, policy) in policies.iter().enumerate() {
        text += &service_with_policy(&format!("policy{index}"), policy, address);
    }
    stage.control.config.write("policies.yaml", &text);
    stage.control.config.write(
        "service.yaml",
        &yaml::service(&[Endpoint::new(address, "v1").locality("eu/a/b"), Endpoint::new(address, "v2")]),
    );
    stage.routes(&[
        &format!(
            "{{match: [{{uri: {{regex: \"/.*/C[a-z]+\"}}, headers: {{x-a: {{regex: \"[0-9]+\"}}, x-b: {{prefix: b}}}}}}], {}}}",
            split(&[("v1", 20), ("v2", 80)])
        ),
        &format!(
            "{{timeout: 3s, retries: {{attempts: 2, retryOn: \"unavailable,cancelled,internal\"}}, {}}}",
            everything()
        ),
    ]);
    eventually("Envoy has every cluster", async || {
        let clusters = stage.envoy.stats("cluster_manager.active_clusters").await;
        // Its own, three of the greeter and one for each policy.
        let expected = 1 + 3 + policies.len() as u64;
        if clusters.values().eq([&expected]) { Ok(()) } else { Err(format!("{clusters:?}")) }
    })
    .await;
    stage.until_all_is_accepted().await;
}

fn service_with_policy(name: &str, policy: &str, address: SocketAddr) -> String {
    let (ip, port) = (address.ip(), address.port());
    format!(
        "---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: {name}, namespace: shop}}
spec:
  hosts: [{name}.shop.svc.cluster.local]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{{number: 50051, name: grpc, protocol: GRPC}}]
  endpoints: [{{address: \"{ip}\", ports: {{grpc: {port}}}}}]
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: {name}, namespace: shop}}
spec: {{host: {name}.shop.svc.cluster.local, trafficPolicy: {{{policy}}}}}
"
    )
}

// The same behaviour, whichever way Envoy asks for its configuration.
for_each! { sotw: super::Variant::Sotw, delta: super::Variant::Delta => [
    calls_of_every_kind_pass,
    changes_take_effect_without_a_failed_call,
    a_new_service_and_the_route_to_it_may_come_at_once,
    losing_the_control_server_changes_nothing,
    retries_and_timeouts_are_those_of_the_route,
    whatever_the_kinds_become_is_accepted,
] }
