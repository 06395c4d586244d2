//! Our client against an xDS server that is not ours: stock gRPC for Python, told what to do and say.

use std::net::SocketAddr;

use serde_json::{Value, json};
use tests::load::Load;
use tests::mesh::MeshClient;
use tests::python::Python;
use tests::xds::{cluster, endpoints, listener, route_to, routes, service};
use tests::xds_server::{Event, XdsServer};
use tests::{Greeter, eventually};
use xds_client::Options;
use xds_client::protocol::ResourceState;
use xds_client::transport::Variant;

const HOST: &str = "greeter";
const ROUTES: &str = "routes";

/// The server, endpoints e0, e1, .. each of a cluster of the same name, and a client of the listener [`HOST`], which leads to
/// e0.
struct Stage {
    server: XdsServer,
    greeters: Vec<Greeter>,
    client: MeshClient,
    variant: Variant,
}

impl Stage {
    async fn start(test: &str, variant: Variant, endpoints: usize) -> Option<Self> {
        let python = Python::find(test)?;
        let mut server = XdsServer::start(&python).await;
        let mut greeters = Vec::new();
        for index in 0..endpoints {
            greeters.push(Greeter::start(&format!("e{index}"), "v1").await);
        }
        let addresses: Vec<_> = greeters.iter().map(|greeter| greeter.address).collect();
        server.set(&service(HOST, ROUTES, "e0", &addresses[..1])).await;
        let client = client(&server, variant, &[]);
        Some(Self { server, greeters, client, variant })
    }

    fn address(&self, index: usize) -> SocketAddr {
        self.greeters[index].address
    }

    /// A response as the variant frames it: these resources under these names.
    fn response(&self, resources: &[(&str, Value)]) -> Value {
        let resources: Vec<_> = resources
            .iter()
            .map(|(name, resource)| match self.variant {
                Variant::Sotw => resource.clone(),
                Variant::Delta => json!({"name": name, "version": "odd", "resource": resource}),
            })
            .collect();
        json!({"resources": resources, "version": "odd"})
    }
}

fn client(server: &XdsServer, variant: Variant, features: &[&str]) -> MeshClient {
    let feature = match variant {
        Variant::Sotw => "xds_v3",
        Variant::Delta => "incremental_xds",
    };
    let features = [&[feature], features].concat();
    let bootstrap = json!({
        "xds_servers": [{
            "server_uri": server.address.to_string(),
            "channel_creds": [{"type": "insecure"}],
            "server_features": features,
        }],
        "node": {"id": "rust-client", "cluster": "tests", "metadata": {"team": "shop"}},
    });
    MeshClient::with_target(&bootstrap, Options::default(), &format!("xds:///{HOST}"))
}

async fn everything_is_asked_for_in_turn_and_accepted(variant: Variant) {
    let Some(mut stage) = Stage::start("our client", variant, 1).await else { return };
    stage.client.assert_answers("e0").await;
    let spoken = stage
        .server
        .event(|event| match event {
            Event::Opened { variant, .. } => Some(variant),
            _ => None,
        })
        .await;
    assert_eq!(spoken, if variant == Variant::Delta { "delta" } else { "sotw" });
    for (kind, name) in [("lds", HOST), ("rds", ROUTES), ("cds", "e0"), ("eds", "e0")] {
        let asked = stage.server.request(kind, "subscription").await;
        assert_eq!((&*asked.version, &*asked.nonce), ("", ""), "{asked:?}");
        assert_eq!((asked.names, asked.held.len()), (vec![name.to_owned()], 0), "{kind}");
        if kind == "lds" {
            let node = asked.node.unwrap_or_default();
            assert_eq!((&node["id"], &node["metadata"]["team"]), (&"rust-client".into(), &"shop".into()));
            assert!(node["user_agent_name"].is_string() && node["client_features"].is_array(), "{node}");
        }
        let accepted = stage.server.request(kind, "ack").await;
        let names = if variant == Variant::Delta { vec![] } else { vec![name.to_owned()] };
        let version = if variant == Variant::Delta { "" } else { "1" };
        assert_eq!((accepted.names, &*accepted.version), (names, version), "{kind}");
    }
    let status = stage.client.xds.status();
    let mut states: Vec<_> =
        status.resources.iter().map(|one| (&*one.name, one.state, &*one.version)).collect();
    states.sort_unstable();
    assert_eq!(states, ["e0", "e0", HOST, ROUTES].map(|name| (name, ResourceState::Acked, "1")));
}

async fn a_refused_resource_is_told_and_the_last_good_one_stays(variant: Variant) {
    let Some(mut stage) = Stage::start("NACK", variant, 2).await else { return };
    stage.client.assert_answers("e0").await;
    stage.server.request("rds", "ack").await;
    let address = stage.address(1);
    stage.server.set(&[cluster("e1", "e1"), endpoints("e1", &[address])]).await;
    let bad = json!({"safe_regex": {"regex": "(", "google_re2": {}}});
    stage.server.set(&[routes(ROUTES, &[(bad, "e1")])]).await;
    let refused = stage.server.request("rds", "nack").await;
    assert_eq!(refused.code, "INVALID_ARGUMENT", "{refused:?}");
    assert!(
        refused.error.contains(&format!("RouteConfiguration {ROUTES}:")) && refused.error.contains("regex"),
        "{refused:?}"
    );
    assert_eq!(refused.version, if variant == Variant::Delta { "" } else { "1" }, "what was accepted last");
    stage.client.assert_answers("e0").await;
    let status = stage.client.xds.status();
    let nacked = status.resources.iter().find(|one| one.state == ResourceState::Nacked);
    let nacked = nacked.map(|one| (&*one.name, &*one.version, one.error.is_some()));
    assert_eq!(nacked, Some((ROUTES, "1", true)));
    stage.server.set(&[route_to(ROUTES, "e1")]).await;
    stage.server.request("rds", "ack").await;
    stage.client.until_answers("e1").await;
}

async fn one_bad_resource_does_not_hold_up_the_others(variant: Variant) {
    let Some(mut stage) = Stage::start("partial NACK", variant, 3).await else { return };
    let match_method = json!({"path": "/mesh.examples.v1.Greeter/Chat"});
    let [first, second, third] = [stage.address(0), stage.address(1), stage.address(2)];
    stage
        .server
        .set(&[
            cluster("other", "other"),
            endpoints("other", &[second]),
            routes(ROUTES, &[(match_method, "other"), (json!({"prefix": ""}), "e0")]),
        ])
        .await;
    stage.client.assert_answers("e0").await;
    stage.server.request("eds", "ack").await;
    let mut bad = endpoints("other", &[first]);
    bad["endpoints"][0]["priority"] = 5.into();
    stage.server.set(&[bad, endpoints("e0", &[third])]).await;
    let refused = stage.server.request("eds", "nack").await;
    assert!(refused.error.contains(" other:") && !refused.error.contains("e0"), "{refused:?}");
    stage.client.until_answers("e2").await;
}

async fn a_deleted_listener_stays_in_use_unless_the_bootstrap_says_otherwise(variant: Variant) {
    let Some(mut stage) = Stage::start("deletion", variant, 1).await else { return };
    for (features, stays) in
        [(&[] as &[_], true), (&["ignore_resource_deletion"], true), (&["fail_on_data_errors"], false)]
    {
        stage.client = client(&stage.server, variant, features);
        stage.client.assert_answers("e0").await;
        // Forgets what was before.
        stage.server.events().await;
        stage.server.remove("lds", &[HOST]).await;
        stage.server.request("lds", "ack").await;
        if stays {
            let status = stage.client.xds.status();
            let listener = status.resources.iter().find(|one| &*one.name == HOST);
            assert!(listener.is_some_and(|one| one.cached), "{features:?}: {listener:?}");
            stage.client.assert_answers("e0").await;
        } else {
            eventually("calls fail", async || match stage.client.hello().await {
                Ok(reply) => Err(format!("{reply:?}")),
                Err(status) if status.message().contains("does not exist") => Ok(()),
                Err(status) => Err(status.to_string()),
            })
            .await;
        }
        stage.server.set(&[listener(HOST, ROUTES)]).await;
        stage.client.until_answers("e0").await;
    }
}

async fn odd_responses_are_refused_and_change_nothing(variant: Variant) {
    let Some(mut stage) = Stage::start("odd responses", variant, 1).await else { return };
    stage.client.assert_answers("e0").await;
    let good = || ("e0", cluster("e0", "e0"));
    let rows = [
        ("the same name twice", "cds", vec![good(), good()], "Cluster e0: appears more than once"),
        (
            "another type inside",
            "cds",
            vec![("e0", listener("e0", ROUTES))],
            "envoy.config.listener.v3.Listener",
        ),
        ("bytes that mean nothing", "cds", vec![("e0", json!({"type_url": "cds", "value": "/////w=="}))], ""),
        ("one good and one of another type", "cds", vec![good(), ("l", listener("l", ROUTES))], "Listener"),
        ("a match without a path", "rds", vec![(ROUTES, routes(ROUTES, &[(json!({}), "e0")]))], "match"),
    ];
    for (name, kind, resources, text) in rows {
        let response = stage.response(&resources);
        stage.server.send(kind, response).await;
        let refused = stage.server.request(kind, "nack").await;
        assert!(refused.code == "INVALID_ARGUMENT" && refused.error.contains(text), "{name}: {refused:?}");
        stage.client.assert_answers("e0").await;
    }
    // A type that was never asked for is not answered at all; what follows is.
    stage.server.events().await;
    let unknown = stage.response(&[]);
    stage.server.send("type.googleapis.com/envoy.config.unknown.v3.Unknown", unknown).await;
    stage.server.set(&[route_to(ROUTES, "e0")]).await;
    stage.server.request("rds", "ack").await;
    let answered =
        |event: &Event| matches!(event, Event::Request(request) if request.kind.contains("unknown"));
    assert!(!stage.server.events().await.iter().any(answered));
    stage.client.assert_answers("e0").await;
}

async fn resources_without_subscription_are_ignored(variant: Variant) {
    let Some(mut stage) = Stage::start("superset", variant, 2).await else { return };
    stage.client.assert_answers("e0").await;
    let response =
        stage.response(&[("stranger", cluster("stranger", "stranger")), ("e0", cluster("e0", "e0"))]);
    stage.server.request("cds", "ack").await;
    stage.server.send("cds", response).await;
    stage.server.request("cds", "ack").await;
    stage.client.assert_answers("e0").await;
    assert!(stage.client.xds.status().resources.iter().all(|one| &*one.name != "stranger"));
}

async fn a_stream_that_ends_is_opened_again_with_what_is_held(variant: Variant) {
    let Some(mut stage) = Stage::start("stream ends", variant, 2).await else { return };
    stage.client.assert_answers("e0").await;
    stage.server.request("eds", "ack").await;
    let load = Load::start(&stage.client.channel, 2);
    stage.server.order(json!({"do": "close"})).await;
    for (kind, name) in [("lds", HOST), ("rds", ROUTES), ("cds", "e0"), ("eds", "e0")] {
        let again = stage.server.request(kind, "subscription").await;
        assert_eq!((&*again.nonce, &again.names), ("", &vec![name.to_owned()]), "{again:?}");
        match variant {
            Variant::Sotw => assert_eq!(again.version, "1", "{again:?}"),
            Variant::Delta => assert_eq!(again.held.get(name).map(String::as_str), Some("1"), "{again:?}"),
        }
    }
    let address = stage.address(1);
    stage.server.set(&[endpoints("e0", &[address])]).await;
    stage.client.until_answers("e1").await;
    let tally = load.stop().await;
    assert_eq!((tally.calls > 0, tally.failures), (true, vec![]));
}

async fn a_server_that_goes_away_and_returns_changes_nothing(variant: Variant) {
    let Some(mut stage) = Stage::start("server away", variant, 2).await else { return };
    stage.client.assert_answers("e0").await;
    let load = Load::start(&stage.client.channel, 2);
    stage.server.order(json!({"do": "stop"})).await;
    let before = load.calls(20).await;
    eventually("the outage is known", async || match stage.client.xds.status() {
        status if !status.connected && status.outage.is_some() => Ok(()),
        status => Err(format!("{status:?}")),
    })
    .await;
    let address = stage.address(1);
    stage.server.set(&[endpoints("e0", &[address])]).await;
    stage.client.assert_answers("e0").await;
    stage.server.order(json!({"do": "listen"})).await;
    stage.client.until_answers("e1").await;
    let tally = load.stop().await;
    assert_eq!([before.failures, tally.failures].concat(), [""; 0]);
}

async fn calls_wait_for_a_server_that_is_slow(variant: Variant) {
    let Some(mut stage) = Stage::start("slow server", variant, 1).await else { return };
    stage.server.order(json!({"do": "silence", "types": ["cds", "eds"]})).await;
    let greeter = stage.client.channel.clone();
    let call = tokio::spawn(async move {
        let mut greeter = examples::greeter::greeter_client::GreeterClient::new(greeter);
        greeter.say_hello(examples::greeter::HelloRequest::default()).await.map(drop)
    });
    stage.server.request("cds", "subscription").await;
    assert!(!call.is_finished());
    stage.server.order(json!({"do": "speak"})).await;
    assert_eq!(call.await.expect("callers do not panic").map_err(|status| status.to_string()), Ok(()));
}

async fn a_resource_with_a_time_to_live_ends_unless_it_is_sent_again(variant: Variant) {
    let Some(mut stage) = Stage::start("TTL", variant, 1).await else { return };
    stage.client.assert_answers("e0").await;
    stage.server.request("cds", "ack").await;
    let mut wrapped = json!({"name": "e0", "version": "2", "ttl": "1s", "resource": cluster("e0", "e0")});
    if variant == Variant::Sotw {
        wrapped["@type"] = "type.googleapis.com/envoy.service.discovery.v3.Resource".into();
    }
    for _ in 0..2 {
        stage.server.send("cds", json!({"resources": [wrapped], "version": "2"})).await;
        stage.server.request("cds", "ack").await;
        stage.client.until_answers("e0").await;
        eventually("the cluster has gone", async || match stage.client.hello().await {
            Err(status) if status.message().contains("time to live has passed") => Ok(()),
            other => Err(format!("{other:?}")),
        })
        .await;
    }
}

async fn loads_are_reported_as_the_server_asks(variant: Variant) {
    let Some(mut stage) = Stage::start("loads", variant, 1).await else { return };
    stage.server.order(json!({"do": "loads", "interval": 0.1})).await;
    let mut reported = cluster("e0", "e0");
    reported["lrs_server"] = json!({"self": {}});
    stage.server.set(&[reported]).await;
    for _ in 0..50 {
        stage.client.assert_answers("e0").await;
    }
    let mut node = None;
    let mut total = 0;
    let mut refused = 0;
    while total < 50 {
        let (who, clusters) = stage
            .server
            .event(|event| match event {
                Event::Load { node, clusters } => Some((node, clusters)),
                _ => None,
            })
            .await;
        node = node.or(who);
        for cluster in clusters {
            assert_eq!(cluster["cluster_name"], "e0", "{cluster}");
            for locality in cluster["upstream_locality_stats"].as_array().into_iter().flatten() {
                assert_eq!(locality["locality"]["region"], "r", "{cluster}");
                // 64-bit numbers are strings in JSON.
                let count = |key: &str| {
                    locality[key].as_str().map_or(0, |text| text.parse::<u64>().expect("a count"))
                };
                total += count("total_successful_requests");
                refused += count("total_error_requests");
            }
        }
    }
    assert_eq!((total, refused), (50, 0));
    let features = node.unwrap_or_default()["client_features"].clone();
    assert!(features.to_string().contains("envoy.lrs.supports_send_all_clusters"), "{features}");
}

/// Proves: TR-17.
#[tokio::test]
async fn resource_may_be_wrapped() {
    let Some(mut stage) = Stage::start("wrapped", Variant::Sotw, 2).await else { return };
    stage.client.assert_answers("e0").await;
    stage.server.request("eds", "ack").await;
    let resource = endpoints("e0", &[stage.address(1)]);
    let wrapped = json!({
        "@type": "type.googleapis.com/envoy.service.discovery.v3.Resource",
        "name": "e0",
        "resource": resource,
    });
    stage.server.send("eds", json!({"resources": [wrapped], "version": "2"})).await;
    assert_eq!(stage.server.request("eds", "ack").await.version, "2");
    stage.client.until_answers("e1").await;
}

// The same behaviour in both variants.
for_each! { sotw: super::Variant::Sotw, delta: super::Variant::Delta => [
    everything_is_asked_for_in_turn_and_accepted,
    a_refused_resource_is_told_and_the_last_good_one_stays,
    one_bad_resource_does_not_hold_up_the_others,
    a_deleted_listener_stays_in_use_unless_the_bootstrap_says_otherwise,
    odd_responses_are_refused_and_change_nothing,
    resources_without_subscription_are_ignored,
    a_stream_that_ends_is_opened_again_with_what_is_held,
    a_server_that_goes_away_and_returns_changes_nothing,
    calls_wait_for_a_server_that_is_slow,
    a_resource_with_a_time_to_live_ends_unless_it_is_sent_again,
    loads_are_reported_as_the_server_asks,
] }
