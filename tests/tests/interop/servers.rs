//! Our client with several xDS servers that are not ours: fallback as gRPC's interoperability suite tests it, and
//! federation.

use serde_json::{Value, json};
use tests::load::Load;
use tests::mesh::MeshClient;
use tests::python::Python;
use tests::xds::{cluster, endpoints, listener, route_to, service};
use tests::xds_server::{Event, XdsServer};
use tests::{Greeter, eventually};
use xds_client::Options;
use xds_client::transport::Variant;

const HOST: &str = "greeter";
const ROUTES: &str = "routes";

fn server_config(server: &XdsServer, variant: Variant) -> Value {
    let feature = match variant {
        Variant::Sotw => "xds_v3",
        Variant::Delta => "incremental_xds",
    };
    json!({
        "server_uri": server.address.to_string(),
        "channel_creds": [{"type": "insecure"}],
        "server_features": [feature],
    })
}

/// Two servers, the preferred one first, each with an endpoint of its own to lead to, and a client of both.
struct Stage {
    primary: XdsServer,
    fallback: XdsServer,
    /// Named after their servers, and one more.
    greeters: [Greeter; 3],
    client: MeshClient,
}

/// Two servers without resources, and the endpoints.
async fn servers(test: &str) -> Option<(XdsServer, XdsServer, [Greeter; 3])> {
    let python = Python::find(test)?;
    let (primary, fallback) = tokio::join!(XdsServer::start(&python), XdsServer::start(&python));
    let greeters = [
        Greeter::start("primary", "v1").await,
        Greeter::start("fallback", "v1").await,
        Greeter::start("other", "v1").await,
    ];
    Some((primary, fallback, greeters))
}

impl Stage {
    async fn start(test: &str, variant: Variant) -> Option<Self> {
        Some(Self::with_client(Self::servers(test).await?, variant))
    }

    /// The servers with their resources, and the endpoints.
    async fn servers(test: &str) -> Option<(XdsServer, XdsServer, [Greeter; 3])> {
        let (mut primary, mut fallback, greeters) = servers(test).await?;
        primary.set(&service(HOST, ROUTES, "primary", &[greeters[0].address])).await;
        fallback.set(&service(HOST, ROUTES, "fallback", &[greeters[1].address])).await;
        Some((primary, fallback, greeters))
    }

    /// The client connects as soon as it is made.
    fn with_client(
        (primary, fallback, greeters): (XdsServer, XdsServer, [Greeter; 3]),
        variant: Variant,
    ) -> Self {
        let bootstrap = json!({
            "xds_servers": [server_config(&primary, variant), server_config(&fallback, variant)],
            "node": {"id": "rust-client"},
        });
        let client = MeshClient::with_target(&bootstrap, Options::default(), &format!("xds:///{HOST}"));
        Self { primary, fallback, greeters, client }
    }

    /// The servers to which the client has, or wants, a stream: preferred, fallback.
    fn needed(&self) -> [bool; 2] {
        let needed: Vec<_> = self.client.xds.status().servers.iter().map(|server| server.needed).collect();
        needed.try_into().expect("two servers")
    }

    /// The server in use, and the client has left the other.
    async fn until_only_primary_is_needed(&self) {
        eventually("the client has left the fallback", async || match self.needed() {
            [true, false] => Ok(()),
            needed => Err(format!("{needed:?}")),
        })
        .await;
    }
}

async fn leave(server: &mut XdsServer) {
    server.order(json!({"do": "stop"})).await;
}

async fn come_back(server: &mut XdsServer) {
    server.order(json!({"do": "listen"})).await;
}

async fn fallback_on_startup(variant: Variant) {
    let Some(mut servers) = Stage::servers("fallback_on_startup").await else { return };
    leave(&mut servers.0).await;
    leave(&mut servers.1).await;
    let mut stage = Stage::with_client(servers, variant);
    for _ in 0..5 {
        let failure = stage.client.hello().await.expect_err("no server is there");
        assert_eq!(failure.code(), tonic::Code::Unavailable, "{failure}");
    }
    assert_eq!(stage.needed(), [true, true]);
    come_back(&mut stage.fallback).await;
    stage.client.until_answers("fallback").await;
    let load = Load::start(&stage.client.channel, 2);
    come_back(&mut stage.primary).await;
    stage.client.until_answers("primary").await;
    stage.until_only_primary_is_needed().await;
    leave(&mut stage.primary).await;
    eventually("the outage is known", async || match stage.client.xds.status() {
        status if !status.connected => Ok(()),
        status => Err(format!("{status:?}")),
    })
    .await;
    // Everything is known, so no other server is asked.
    assert_eq!(stage.needed(), [true, false]);
    stage.client.assert_answers("primary").await;
    leave(&mut stage.fallback).await;
    stage.client.assert_answers("primary").await;
    let tally = load.stop().await;
    assert_eq!((tally.calls > 0, tally.failures), (true, vec![]));
}

async fn fallback_mid_startup(variant: Variant) {
    let Some(mut stage) = Stage::start("fallback_mid_startup", variant).await else { return };
    stage.primary.order(json!({"do": "stop_at", "type": "cds"})).await;
    stage.client.until_answers("fallback").await;
    stage.primary.event(|event| (event == Event::Stopped).then_some(())).await;
    let load = Load::start(&stage.client.channel, 2);
    come_back(&mut stage.primary).await;
    stage.client.until_answers("primary").await;
    stage.until_only_primary_is_needed().await;
    let tally = load.stop().await;
    assert_eq!((tally.calls > 0, tally.failures), (true, vec![]));
}

async fn fallback_mid_update(variant: Variant) {
    let Some(mut stage) = Stage::start("fallback_mid_update", variant).await else { return };
    stage.client.assert_answers("primary").await;
    assert_eq!(stage.needed(), [true, false]);
    let load = Load::start(&stage.client.channel, 2);
    stage.primary.order(json!({"do": "stop_at", "type": "cds"})).await;
    let other = stage.greeters[2].address;
    stage
        .primary
        .set(&[cluster("other", "other"), endpoints("other", &[other]), route_to(ROUTES, "other")])
        .await;
    stage.client.until_answers("fallback").await;
    come_back(&mut stage.primary).await;
    stage.client.until_answers("other").await;
    stage.until_only_primary_is_needed().await;
    let tally = load.stop().await;
    assert_eq!((tally.calls > 0, tally.failures), (true, vec![]));
}

/// The listener and its routes come from one authority, the cluster and its endpoints from another, and the default server
/// is dead.
async fn federation(variant: Variant) {
    let Some((mut here, mut there, greeters)) = servers("federation").await else { return };
    let name =
        |authority: &str, kind: &str, id: &str| format!("xdstp://{authority}/envoy.config.{kind}/{id}");
    let routes = name("here", "route.v3.RouteConfiguration", "r/1");
    let other = name("there", "cluster.v3.Cluster", "c");
    let assignment = name("there", "endpoint.v3.ClusterLoadAssignment", "e?b=2&a=1");
    here.set(&[listener(&name("here", "listener.v3.Listener", HOST), &routes), route_to(&routes, &other)])
        .await;
    // The same name, with its parameters in order.
    let ordered = name("there", "endpoint.v3.ClusterLoadAssignment", "e?a=1&b=2");
    there.set(&[cluster(&other, &assignment), endpoints(&ordered, &[greeters[2].address])]).await;
    let bootstrap = json!({
        "xds_servers": [{"server_uri": "127.0.0.1:1", "channel_creds": [{"type": "insecure"}]}],
        "authorities": {
            "here": {"xds_servers": [server_config(&here, variant)]},
            "there": {"xds_servers": [server_config(&there, variant)]},
        },
        "node": {"id": "rust-client"},
    });
    let client = MeshClient::with_target(&bootstrap, Options::default(), &format!("xds://here/{HOST}"));
    for _ in 0..100 {
        let reply = client.hello().await.map_err(|status| status.to_string());
        assert_eq!(reply.map(|reply| reply.endpoint), Ok("other".to_owned()));
    }
    assert_eq!(here.request("lds", "ack").await.stream, here.request("rds", "ack").await.stream);
    assert_eq!(there.request("cds", "ack").await.stream, there.request("eds", "ack").await.stream);
    // What one authority says of a listener of its own takes effect, whatever the default server does.
    here.set(&[route_to(&routes, &name("there", "cluster.v3.Cluster", "none"))]).await;
    there.request("cds", "subscription").await;
    let needed = client.xds.status().servers.into_iter().filter(|server| server.needed);
    let mut needed: Vec<_> = needed.map(|server| (server.uri.to_string(), server.connected)).collect();
    needed.sort_unstable();
    let mut expected = [(here.address.to_string(), true), (there.address.to_string(), true)];
    expected.sort_unstable();
    assert_eq!(needed, expected);
}

// The same behaviour in both variants.
for_each! { sotw: super::Variant::Sotw, delta: super::Variant::Delta => [
    fallback_on_startup,
    fallback_mid_startup,
    fallback_mid_update,
    federation,
] }
