//! Configuration that is edited, broken and mended while calls run.

use control_server::state::{PipelineState, Severity};
use tests::load::Load;
use tests::mesh::MeshClient;
use tests::yaml::{self, Endpoint};
use tests::{ConfigDir, ControlServer, Greeter, eventually};

/// Two endpoints, v1 and v2, and a route to v1.
async fn mesh() -> (MeshClient, ControlServer, [Greeter; 2]) {
    let greeters = [Greeter::start("one", "v1").await, Greeter::start("two", "v2").await];
    let config = ConfigDir::new();
    let endpoints = [Endpoint::new(greeters[0].address, "v1"), Endpoint::new(greeters[1].address, "v2")];
    config.write("service.yaml", &yaml::service(&endpoints));
    config.write("routes/greeter.yaml", &route("v1"));
    let control = ControlServer::start(config).await;
    (MeshClient::of(&control), control, greeters)
}

fn route(subset: &str) -> String {
    yaml::routes(&[&format!("{{{}}}", yaml::split(&[(subset, 100)]))])
}

async fn errors(control: &ControlServer) -> Vec<String> {
    let state: PipelineState = control.admin("/v1/config").await;
    let errors = state.diagnostics.iter().filter(|found| found.severity == Severity::Error);
    errors.map(ToString::to_string).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn broken_file_keeps_configuration_and_is_reported_until_fixed() {
    let (client, control, _greeters) = mesh().await;
    let load = Load::start(&client.channel, 2);
    load.calls(50).await;
    let mistakes = [
        (route("v2").replace("weight", "wieght"), "did you mean `weight`"),
        (route("v2").replace("100", "many"), "weight"),
        (route("v2").replace("http:", "http"), "routes/greeter.yaml:"),
        (String::from("kind: [\n"), "routes/greeter.yaml:"),
    ];
    for (text, part) in mistakes {
        control.config.write("routes/greeter.yaml", &text);
        eventually("the mistake is explained", async || {
            let errors = errors(&control).await;
            let explains = |error: &String| error.starts_with("routes/greeter.yaml:") && error.contains(part);
            if errors.iter().any(explains) { Ok(()) } else { Err(format!("{part}: {errors:?}")) }
        })
        .await;
        let tally = load.calls(100).await;
        assert!(tally.failures.is_empty() && tally.percent_of_version("v1") > 99.9, "{part}: {tally:?}");
    }
    control.config.write("routes/greeter.yaml", &route("v2"));
    eventually("the mended file is used", async || {
        let v2 = load.calls(50).await.percent_of_version("v2");
        if v2 > 99.9 { Ok(()) } else { Err(format!("{v2} %")) }
    })
    .await;
    assert!(errors(&control).await.is_empty());
    assert!(load.stop().await.failures.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn missing_subset_fails_its_calls_with_the_reason_until_it_is_there() {
    let (client, control, _greeters) = mesh().await;
    client.hello().await.unwrap();
    control.config.write("routes/greeter.yaml", &route("v9"));
    eventually("calls fail", async || match client.hello().await {
        Err(status) if status.message().contains("has no subset v9") => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .await;
    assert!(errors(&control).await.iter().any(|error| error.contains("did you mean `v1`")));
    control.config.write("routes/greeter.yaml", &route("v2"));
    eventually("calls succeed", async || client.hello().await.map(drop).map_err(|status| status.to_string()))
        .await;
}

/// A cluster that must not be called without TLS: a client that has no certificates refuses it, and what it has kept has no endpoints any
/// more.
#[tokio::test(flavor = "multi_thread")]
async fn demand_for_tls_stops_running_clients() {
    let (client, control, _greeters) = mesh().await;
    client.hello().await.unwrap();
    let rule = "apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: tls, namespace: shop}
spec: {host: '*.local', trafficPolicy: {tls: {mode: ISTIO_MUTUAL}}}
";
    control.config.write("rules/tls.yaml", rule);
    eventually("calls fail", async || match client.hello().await {
        Err(status) if status.message().contains("there are no endpoints") => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .await;
    control.config.remove("rules/tls.yaml");
    eventually("calls succeed", async || client.hello().await.map(drop).map_err(|status| status.to_string()))
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn grpc_route_of_gateway_api_routes_calls() {
    let (client, control, _greeters) = mesh().await;
    client.hello().await.unwrap();
    control.config.remove("routes/greeter.yaml");
    let text = "apiVersion: gateway.networking.k8s.io/v1
kind: GRPCRoute
metadata: {name: greeter, namespace: shop}
spec:
  parentRefs: [{group: \"\", kind: Service, name: greeter}]
  rules:
  - matches: [{method: {service: mesh.examples.v1.Greeter, method: SayHello}}]
    backendRefs: [{name: greeter, port: 50051}]
";
    control.config.write("routes/gateway.yaml", text);
    eventually("only the matched method is served", async || {
        client.hello().await.map_err(|status| status.to_string())?;
        let request = examples::greeter::HelloRequest { name: "x".to_owned(), count: 1 };
        match client.greeter().say_hellos(request).await {
            Err(status) if status.code() == tonic::Code::Unavailable => Ok(()),
            other => Err(format!("{other:?}, {:?}", errors(&control).await)),
        }
    })
    .await;
}

/// The same server, two clients: each has the routes of its namespace and the endpoints of its zone.
#[tokio::test(flavor = "multi_thread")]
async fn clients_are_served_by_their_namespace_and_zone() {
    let (_, control, _greeters) = mesh().await;
    let rules = "apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: greeter, namespace: shop}
spec:
  hosts: [greeter]
  http:
  - match: [{sourceNamespace: qa}]
    route: [{destination: {host: greeter, subset: v2}}]
  - route: [{destination: {host: greeter, subset: v1}}]
";
    control.config.write("routes/greeter.yaml", rules);
    for (namespace, version) in [("qa", "v2"), ("shop", "v1")] {
        let mut bootstrap = control.bootstrap(namespace);
        bootstrap["node"]["metadata"] = serde_json::json!({ "NAMESPACE": namespace });
        let client = MeshClient::with(&bootstrap, xds_client::Options::default());
        eventually("calls go to the namespace's version", async || {
            let reply = client.hello().await.map_err(|status| status.to_string())?;
            if reply.version == version { Ok(()) } else { Err(format!("{namespace}: {reply:?}")) }
        })
        .await;
    }
}
