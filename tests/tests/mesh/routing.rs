//! Routes written in YAML, taken by a Rust client.

use std::time::Duration;

use examples::greeter::HelloRequest;
use tests::load::Load;
use tests::mesh::MeshClient;
use tests::yaml::{self, Endpoint};
use tests::{ConfigDir, ControlServer, Greeter, eventually};
use tokio_stream::StreamExt;
use tonic::Code;

/// Two endpoints, v1 and v2, and these rules.
async fn mesh(rules: &[&str]) -> (MeshClient, ControlServer, [Greeter; 2]) {
    let greeters = [Greeter::start("one", "v1").await, Greeter::start("two", "v2").await];
    let config = ConfigDir::new();
    let endpoints = [Endpoint::new(greeters[0].address, "v1"), Endpoint::new(greeters[1].address, "v2")];
    config.write("service.yaml", &yaml::service(&endpoints));
    if !rules.is_empty() {
        config.write("route.yaml", &yaml::routes(rules));
    }
    let control = ControlServer::start(config).await;
    (MeshClient::of(&control), control, greeters)
}

fn to(subset: &str) -> String {
    yaml::split(&[(subset, 100)])
}

#[tokio::test(flavor = "multi_thread")]
async fn endpoints_rotate_without_rules() {
    let (client, _control, _greeters) = mesh(&[]).await;
    eventually("both endpoints are connected", async || {
        let mut endpoints = Vec::new();
        for _ in 0..100 {
            endpoints.push(client.hello().await.unwrap().endpoint);
        }
        let one = endpoints.iter().filter(|endpoint| *endpoint == "one").count();
        if one == 50 { Ok(()) } else { Err(format!("{one} of 100")) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn weights_split_calls_and_follow_an_edit() {
    let (client, control, _greeters) =
        mesh(&[&format!("{{{}}}", yaml::split(&[("v1", 20), ("v2", 80)]))]).await;
    let load = Load::start(&client.channel, 8);
    load.calls(100).await;
    let tally = load.calls(10_000).await;
    assert!((tally.percent_of_version("v1") - 20.0).abs() < 3.0, "{tally:?}");
    control
        .config
        .write("route.yaml", &yaml::routes(&[&format!("{{{}}}", yaml::split(&[("v1", 70), ("v2", 30)]))]));
    eventually("the edit is seen", async || {
        let tally = load.calls(500).await;
        let v1 = tally.percent_of_version("v1");
        if v1 > 60.0 { Ok(()) } else { Err(format!("{v1} %")) }
    })
    .await;
    let tally = load.calls(10_000).await;
    assert!((tally.percent_of_version("v1") - 70.0).abs() < 3.0, "{tally:?}");
    assert!(load.stop().await.failures.is_empty() && tally.failures.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn paths_and_headers_choose_the_route() {
    let (client, _control, _greeters) = mesh(&[
        &format!("{{match: [{{uri: {{exact: /mesh.examples.v1.Greeter/SayHellos}}}}], {}}}", to("v2")),
        &format!("{{match: [{{headers: {{x-version: {{exact: \"2\"}}}}}}], {}}}", to("v2")),
        &format!("{{match: [{{headers: {{x-user: {{regex: \"a.*z\"}}}}}}], {}}}", to("v2")),
        &format!("{{match: [{{uri: {{prefix: /mesh.}}}}], {}}}", to("v1")),
    ])
    .await;
    for (metadata, version) in [
        (&[][..], "v1"),
        (&[("x-version", "2")][..], "v2"),
        (&[("x-version", "22")], "v1"),
        (&[("x-user", "abcz")], "v2"),
        (&[("x-user", "abc")], "v1"),
    ] {
        for _ in 0..10 {
            assert_eq!(client.hello_with(metadata).await.unwrap().version, version, "{metadata:?}");
        }
    }
    let replies = client.greeter().say_hellos(HelloRequest { name: "x".to_owned(), count: 3 }).await.unwrap();
    let replies: Vec<_> = replies.into_inner().map(|reply| reply.unwrap().version).collect().await;
    assert_eq!(replies, ["v2", "v2", "v2"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn timeout_ends_a_call_that_takes_longer() {
    let (client, _control, _greeters) = mesh(&[&format!("{{timeout: 0.2s, {}}}", to("v1"))]).await;
    client.hello().await.unwrap();
    let status = client.hello_with(&[("rpc-behavior", "keep-open")]).await.unwrap_err();
    assert_eq!(status.code(), Code::DeadlineExceeded, "{status}");
}

#[tokio::test(flavor = "multi_thread")]
async fn shorter_deadline_of_the_caller_wins() {
    let (client, _control, _greeters) = mesh(&[&format!("{{timeout: 60s, {}}}", to("v1"))]).await;
    client.hello().await.unwrap();
    let mut request = tonic::Request::new(HelloRequest::default());
    request.set_timeout(Duration::from_millis(200));
    request.metadata_mut().insert("rpc-behavior", "keep-open".parse().unwrap());
    let status = client.greeter().say_hello(request).await.unwrap_err();
    assert_eq!(status.code(), Code::DeadlineExceeded, "{status}");
}

#[tokio::test(flavor = "multi_thread")]
async fn retry_succeeds_where_the_first_attempt_failed() {
    let (client, _control, _greeters) =
        mesh(&[&format!("{{retries: {{attempts: 3, retryOn: unavailable}}, {}}}", to("v1"))]).await;
    let flaky = |retries| format!("error-code-14,succeed-on-retry-attempt-{retries}");
    client.hello_with(&[("rpc-behavior", &flaky(3))]).await.unwrap();
    let status = client.hello_with(&[("rpc-behavior", &flaky(4))]).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable, "{status}");
    let status = client.hello_with(&[("rpc-behavior", "error-code-9")]).await.unwrap_err();
    assert_eq!(status.code(), Code::FailedPrecondition, "{status}");
}

#[tokio::test(flavor = "multi_thread")]
async fn circuit_breaker_admits_calls_up_to_its_limit() {
    let (client, control, _greeters) = mesh(&[]).await;
    client.hello().await.unwrap();
    let service = [Endpoint::new(_greeters[0].address, "v1")];
    let text = yaml::service(&service).split("---").next().unwrap().to_owned();
    let limit = "connectionPool: {http: {http2MaxRequests: 2}}";
    control.config.write("service.yaml", &(text + &yaml::destination_rule(limit)));
    let mut held = Vec::new();
    eventually("a third call is refused", async || {
        held.clear();
        for _ in 0..2 {
            let mut greeter = client.greeter();
            held.push(greeter.chat(tokio_stream::pending()).await.map_err(|status| status.to_string())?);
        }
        match client.hello().await {
            Err(status) if status.code() == Code::Unavailable => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
    held.pop();
    eventually("there is room again", async || client.hello().await.map_err(|status| status.to_string()))
        .await;
}
