//! The traffic tasks of Istio's Bookinfo, and the mesh cases of the Gateway API for GRPCRoute, with stock clients. The services are
//! `reviews` in its versions v1, v2 and v3; the user `jason` is told by the header `end-user`.

use tests::eventually;
use tests::stock::{Calls, Client, Report};
use tests::yaml::{HOST, PORT, everything, split};

use super::stage::{Language, Stage};

async fn until(client: &mut Client, what: &str, calls: Calls, is_reached: impl Fn(&Report) -> bool) {
    eventually(what, async || {
        let report = client.call(calls.clone()).await;
        if is_reached(&report) { Ok(()) } else { Err(format!("{report:?}")) }
    })
    .await;
}

/// All of 20 calls of `user` go to one version.
async fn until_all_go_to(client: &mut Client, user: &str, version: &str) {
    let calls = Calls::new(20).wait_for_ready().metadata("end-user", user);
    until(client, &format!("{user} goes to {version}"), calls, |report| {
        report.failed() == 0 && report.versions.get(version) == Some(&20)
    })
    .await;
}

/// Of a thousand calls each version has its share, give or take five points.
async fn until_shared(client: &mut Client, shares: &[(&str, f64)]) {
    let calls = Calls::new(1_000).concurrently(4).wait_for_ready();
    until(client, &format!("calls are shared {shares:?}"), calls, |report| {
        let is_close =
            |(version, share): &(&str, f64)| (report.percent_of_version(version) - share).abs() <= 5.0;
        report.failed() == 0 && shares.iter().all(is_close)
    })
    .await;
}

/// A rule for the user `jason` alone.
fn for_jason(rest: &str) -> String {
    format!("{{match: [{{headers: {{end-user: {{exact: jason}}}}}}], {rest}}}")
}

async fn request_routing_follows_the_user(language: Language) {
    let versions = ["v1", "v2"];
    let all_to_v1 = format!("{{{}}}", split(&[("v1", 1)]));
    let Some(stage) = Stage::with_rules(language, "request routing", &versions, &[&all_to_v1]).await else {
        return;
    };
    let mut client = stage.client().await;
    until_all_go_to(&mut client, "jason", "v1").await;
    stage.routes(&[&for_jason(&split(&[("v2", 1)])), &all_to_v1]);
    until_all_go_to(&mut client, "jason", "v2").await;
    until_all_go_to(&mut client, "susan", "v1").await;
}

async fn traffic_is_shifted_step_by_step(language: Language) {
    let shift = |v1, v2| format!("{{{}}}", split(&[("v1", v1), ("v2", v2)]));
    let Some(stage) = Stage::with_rules(language, "traffic shifting", &["v1", "v2"], &[&shift(100, 0)]).await
    else {
        return;
    };
    let mut client = stage.client().await;
    for (v1, v2) in [(100, 0), (50, 50), (0, 100)] {
        stage.routes(&[&shift(v1, v2)]);
        until_shared(&mut client, &[("v1", f64::from(v1)), ("v2", f64::from(v2))]).await;
    }
}

async fn faults_are_injected_for_one_user(language: Language) {
    let Some(stage) = Stage::start(language, "fault injection", &["v1"]).await else { return };
    let fault = "fault: {delay: {fixedDelay: 1.5s, percentage: {value: 100}}}";
    stage.routes(&[&for_jason(&format!("{fault}, {}", everything())), &format!("{{{}}}", everything())]);
    let mut client = stage.client().await;
    let jason = Calls::new(4).concurrently(4).wait_for_ready().metadata("end-user", "jason");
    until(&mut client, "jason waits", jason.clone(), |report| {
        report.failed() == 0 && report.latency_ms["p50"] >= 1_400.0
    })
    .await;
    let fault = "fault: {abort: {httpStatus: 503, percentage: {value: 100}}}";
    stage.routes(&[&for_jason(&format!("{fault}, {}", everything())), &format!("{{{}}}", everything())]);
    until(&mut client, "jason is refused", jason, |report| report.code("UNAVAILABLE") == 4).await;
    until_all_go_to(&mut client, "susan", "v1").await;
}

async fn request_timeout_ends_slow_calls(language: Language) {
    let Some(stage) = Stage::start(language, "request timeouts", &["v1"]).await else { return };
    stage.routes(&[&format!("{{timeout: 3s, {}}}", everything())]);
    let mut client = stage.client().await;
    let slow = Calls::new(2).concurrently(2).metadata("rpc-behavior", "keep-open").timeout(60);
    until(&mut client, "slow calls end", slow, |report| report.code("DEADLINE_EXCEEDED") == 2).await;
    let report = client.call(Calls::new(10)).await;
    assert_eq!(report.failed(), 0, "{report:?}");
}

/// A service of its own for each version, as the Gateway API has them, under one that routes to them.
fn version_services(stage: &Stage) -> String {
    let mut text = String::new();
    for (index, server) in stage.servers.iter().enumerate() {
        let (version, port) = (index + 1, server.address.port());
        text += &format!(
            "---\napiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {{name: reviews-v{version}, namespace: shop}}\nspec: \
             {{hosts: [reviews-v{version}.shop.svc.cluster.local], resolution: STATIC, ports: [{{number: {PORT}, name: grpc}}], endpoints: \
             [{{address: 127.0.0.1, ports: {{grpc: {port}}}}}]}}\n"
        );
    }
    text
}

/// A route of the greeter with these rules.
fn grpc_route(stage: &Stage, rules: &str) -> String {
    let name = HOST.split('.').next().expect("a host has a first label");
    format!(
        "apiVersion: gateway.networking.k8s.io/v1\nkind: GRPCRoute\nmetadata: {{name: reviews, namespace: shop}}\nspec: {{parentRefs: \
         [{{group: \"\", kind: Service, name: {name}, port: {PORT}}}], rules: [{rules}]}}\n{}",
        version_services(stage)
    )
}

fn to(backends: &[(&str, u32)]) -> String {
    let backend = |(version, weight): &(&str, u32)| {
        format!("{{name: reviews-{version}, port: {PORT}, weight: {weight}}}")
    };
    format!("backendRefs: [{}]", backends.iter().map(backend).collect::<Vec<_>>().join(", "))
}

async fn grpc_route_shares_calls_by_weight(language: Language) {
    let Some(stage) = Stage::start(language, "GRPCRoute weight", &["v1", "v2", "v3"]).await else { return };
    let rule = format!("{{{}}}", to(&[("v1", 70), ("v2", 30), ("v3", 0)]));
    stage.control.config.write("routes.yaml", &grpc_route(&stage, &rule));
    let mut client = stage.client().await;
    until_shared(&mut client, &[("v1", 70.0), ("v2", 30.0), ("v3", 0.0)]).await;
}

async fn most_specific_rule_of_a_grpc_route_counts(language: Language) {
    let Some(stage) = Stage::start(language, "GRPCRoute matching", &["v1", "v2", "v3"]).await else { return };
    let service = "mesh.examples.v1.Greeter";
    let rules = [
        format!("{{{}}}", to(&[("v1", 1)])),
        format!("{{matches: [{{method: {{service: {service}}}}}], {}}}", to(&[("v2", 1)])),
        format!("{{matches: [{{method: {{service: {service}, method: Chat}}}}], {}}}", to(&[("v3", 1)])),
        format!(
            "{{matches: [{{method: {{service: {service}, method: Chat}}, headers: [{{name: end-user, value: jason}}]}}], {}}}",
            to(&[("v1", 1)])
        ),
        format!(
            "{{matches: [{{method: {{type: RegularExpression, service: {service}, method: Gather.*}}, headers: [{{name: x, value: y}}]}}], {}}}",
            to(&[("v3", 1)])
        ),
    ];
    stage.control.config.write("routes.yaml", &grpc_route(&stage, &rules.join(", ")));
    let mut client = stage.client().await;
    for (method, user, version) in
        [("SayHello", "a", "v2"), ("Chat", "a", "v3"), ("Chat", "jason", "v1"), ("GatherHellos", "a", "v2")]
    {
        let calls = Calls::new(20).method(method).metadata("end-user", user).wait_for_ready();
        until(&mut client, &format!("{method} of {user} goes to {version}"), calls, |report| {
            report.failed() == 0 && report.versions.get(version) == Some(&20)
        })
        .await;
    }
}

/// A share of a backend that is missing fails, and calls that no rule matches fail.
async fn calls_without_a_backend_or_a_rule_fail(language: Language) {
    let Some(stage) = Stage::start(language, "GRPCRoute without backends", &["v1"]).await else { return };
    let rules = format!(
        "{{matches: [{{method: {{method: SayHello}}}}], {}}}, {{matches: [{{method: {{method: Chat}}}}], {}}}",
        to(&[("v1", 1)]),
        to(&[("v1", 1), ("missing", 1)])
    );
    stage.control.config.write("routes.yaml", &grpc_route(&stage, &rules));
    let mut client = stage.client().await;
    until(&mut client, "the rule without problems works", Calls::new(20).wait_for_ready(), |report| {
        report.failed() == 0
    })
    .await;
    let half = Calls::new(200).method("Chat");
    until(&mut client, "half of the calls fail", half, |report| {
        report.failed() == report.code("UNAVAILABLE") && (60..=140).contains(&report.failed())
    })
    .await;
    let unmatched = client.call(Calls::new(10).method("GatherHellos")).await;
    assert_eq!(unmatched.code("UNAVAILABLE"), 10, "{unmatched:?}");
}

for_each! { python: super::Language::Python => [
    request_routing_follows_the_user,
    traffic_is_shifted_step_by_step,
    faults_are_injected_for_one_user,
    request_timeout_ends_slow_calls,
    grpc_route_shares_calls_by_weight,
    most_specific_rule_of_a_grpc_route_counts,
    calls_without_a_backend_or_a_rule_fail,
] }
