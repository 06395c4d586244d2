//! The admin API over a router without a socket.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, StatusCode};
use bytes::Bytes;
use http_body_util::BodyExt;
use prost::Message;
use serde_json::{Value, json};
use tokio::sync::watch;
use tonic::codegen::Service;
use xds_proto::envoy::config::cluster::v3::Cluster;

use crate::discovery::{Drain, Feed, Registry, ResourceCache};
use crate::load_reports::LoadReports;
use crate::metrics::Metrics;
use crate::resources::{
    ClientScope, EncodedResource, ResourceKind, ResourceSet, ScopeSelector, Scoped, ServerListeners,
};
use crate::state::{Code, Diagnostic, ObjectStatus, PipelineState, Severity};

use super::{Admin, router};

/// An admin API over hand-made state.
struct Fixture {
    admin: Admin,
    state: watch::Sender<Arc<PipelineState>>,
    cache: ResourceCache,
    resources: watch::Sender<Arc<ResourceSet>>,
}

impl Fixture {
    fn new() -> Self {
        let (resources, state) = (watch::Sender::new(Arc::new(resources())), watch::Sender::default());
        let feed = Feed { resources: resources.subscribe(), state: state.subscribe() };
        let (cache, follow) = ResourceCache::follow(feed.clone());
        tokio::spawn(follow);
        let load = LoadReports::new(Duration::from_secs(10));
        let admin = Admin::new(
            cache.clone(),
            feed.state,
            Registry::default(),
            Drain::default(),
            load,
            Metrics::default(),
        );
        Self { admin, state, cache, resources }
    }

    async fn sync(&self) {
        self.state.send_replace(Arc::new(state()));
        while self.cache.latest().is_none() {
            tokio::task::yield_now().await;
        }
    }

    async fn get(&self, path: &str) -> (StatusCode, String) {
        let request = Request::get(path).body(Body::empty()).unwrap();
        let response = router(self.admin.clone()).call(request).await.unwrap();
        let status = response.status();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    async fn json(&self, path: &str) -> (StatusCode, Value) {
        let (status, body) = self.get(path).await;
        (status, serde_json::from_str(&body).unwrap())
    }
}

fn resources() -> ResourceSet {
    let cluster = Cluster { name: "shop".to_owned(), ..Cluster::default() };
    let resource = EncodedResource {
        name: "shop".into(),
        version: "v1".into(),
        bytes: cluster.encode_to_vec().into(),
        made_by: Arc::default(),
        rules: None,
    };
    let broken = EncodedResource {
        name: "x".into(),
        version: "v2".into(),
        bytes: Bytes::from_static(b"\xff"),
        made_by: Arc::default(),
        rules: None,
    };
    let mut set = ResourceSet::at(7);
    set.insert(ResourceKind::Cluster, Arc::new(resource));
    set.insert(ResourceKind::Route, Arc::new(broken));
    set
}

fn state() -> PipelineState {
    let object = ObjectStatus {
        kind: "ServiceEntry".to_owned(),
        namespace: "shop".to_owned(),
        name: "orders".to_owned(),
        file: "a.yaml".to_owned(),
        line: 1,
        stale: false,
    };
    let diagnostic = Diagnostic {
        severity: Severity::Error,
        code: Code::InvalidValue,
        file: "b.yaml".to_owned(),
        line: 3,
        column: 5,
        object: String::new(),
        field: String::new(),
        message: "no".to_owned(),
        clients: Vec::new(),
    };
    PipelineState {
        synced: true,
        revision: 7,
        objects: vec![object].into(),
        diagnostics: vec![diagnostic].into(),
        ..PipelineState::default()
    }
}

#[tokio::test]
async fn ready_only_between_sync_and_drain() {
    let fixture = Fixture::new();
    assert_eq!(fixture.get("/livez").await, (StatusCode::OK, "ok\n".to_owned()));
    let unsynced = json!({ "ready": false, "reasons": ["the configuration has not been read yet"] });
    assert_eq!(fixture.json("/readyz").await, (StatusCode::SERVICE_UNAVAILABLE, unsynced));
    fixture.sync().await;
    assert_eq!(fixture.json("/readyz").await, (StatusCode::OK, json!({ "ready": true, "reasons": [] })));
    let failed = PipelineState { failed: Some("it panicked".to_owned()), ..state() };
    fixture.state.send_replace(Arc::new(failed));
    let reasons =
        json!({ "ready": false, "reasons": ["changes of the configuration have no effect: it panicked"] });
    assert_eq!(fixture.json("/readyz").await, (StatusCode::SERVICE_UNAVAILABLE, reasons));
    fixture.state.send_replace(Arc::new(state()));
    fixture.admin.drain.begin(std::time::Duration::ZERO);
    let draining = json!({ "ready": false, "reasons": ["the server is draining"] });
    assert_eq!(fixture.json("/readyz").await, (StatusCode::SERVICE_UNAVAILABLE, draining));
    assert_eq!(fixture.get("/livez").await.0, StatusCode::OK);
}

#[tokio::test]
async fn status_and_config_show_the_state() {
    let fixture = Fixture::new();
    fixture.sync().await;
    let (_, status) = fixture.json("/v1/status").await;
    assert_eq!(status["ready"], json!(true));
    assert_eq!(status["revision"], json!(7));
    assert_eq!(
        (&status["objects"], &status["errors"], &status["warnings"]),
        (&json!(1), &json!(1), &json!(0))
    );
    let counts = json!({ "connected": 0, "nodes": 0, "synced": 0, "missing": 0, "pending": 0, "nacked": 0 });
    assert_eq!(status["clients"], counts);
    let (_, config) = fixture.json("/v1/config").await;
    assert_eq!(config["objects"][0]["name"], json!("orders"));
    assert_eq!(config["diagnostics"][0]["severity"], json!("error"));
    let (_, objects) = fixture.json("/v1/objects").await;
    assert_eq!(objects["objects"][0]["object"], json!("ServiceEntry shop/orders"));
    assert_eq!(objects["objects"][0]["conditions"][0]["status"], json!("True"));
    assert_eq!(fixture.json("/v1/clients").await, (StatusCode::OK, json!({ "clients": [] })));
}

/// Gives every server the same listener: mutual TLS, and one caller is denied.
#[derive(Debug)]
struct OneListener(Arc<EncodedResource>);

impl ServerListeners for OneListener {
    fn listener(&self, _: &str, server: &ClientScope) -> Option<Arc<EncodedResource>> {
        (server.namespace.as_deref() == Some("shop")).then(|| Arc::clone(&self.0))
    }

    fn trust_domain(&self) -> Arc<str> {
        "mesh".into()
    }
}

#[tokio::test]
async fn authorization_is_decided_by_what_a_server_gets() {
    let fixture = Fixture::new();
    let listener = crate::authz::tests::listener("spiffe://mesh/ns/qa/sa/a");
    let name = "xds.istio.io/grpc/lds/inbound/0.0.0.0:50051";
    let resource = EncodedResource::new(name.into(), listener.encode_to_vec().into());
    let mut set = resources();
    set.set_servers(Arc::new(OneListener(Arc::new(resource))));
    fixture.resources.send_replace(Arc::new(set));
    fixture.sync().await;
    let rows = [
        ("from=web/a&namespace=shop&port=50051", "allowed", "no DENY policy matches"),
        ("from=qa/a&namespace=shop&port=50051", "denied", "deny"),
        ("from=spiffe://mesh/ns/qa/sa/a&namespace=shop&port=1", "denied", "deny"),
        ("from=-&namespace=shop&port=50051", "denied", "the server takes connections with mutual TLS only"),
    ];
    for (query, verdict, reason) in rows {
        let (status, answer) = fixture.json(&format!("/v1/authz?{query}")).await;
        let found = &answer["decisions"][0];
        assert_eq!(status, StatusCode::OK, "{query}: {answer}");
        assert_eq!((&found["verdict"], &found["listener"]), (&json!(verdict), &json!(name)), "{query}");
        assert!(found["reason"].as_str().unwrap().contains(reason), "{query}: {answer}");
    }
    let refused = [
        ("from=web&namespace=shop&port=1", StatusCode::BAD_REQUEST),
        ("from=a/b/c&namespace=shop&port=1", StatusCode::BAD_REQUEST),
        ("from=a/b&namespace=shop", StatusCode::BAD_REQUEST),
        ("from=a/b&namespace=shop&port=1&ip=x", StatusCode::BAD_REQUEST),
        ("from=a/b&namespace=shop&port=1&claims=x", StatusCode::BAD_REQUEST),
        ("from=a/b&namespace=other&port=1", StatusCode::NOT_FOUND),
        ("from=a/b&to=nobody", StatusCode::NOT_FOUND),
    ];
    for (query, expected) in refused {
        let (status, answer) = fixture.json(&format!("/v1/authz?{query}")).await;
        assert_eq!(status, expected, "{query}: {answer}");
        assert!(!answer["message"].as_str().unwrap().is_empty());
    }
}

#[tokio::test]
async fn resources_are_listed_and_shown() {
    let fixture = Fixture::new();
    let (_, before) = fixture.json("/v1/resources").await;
    assert_eq!(before, json!({ "revision": 0, "resources": [] }), "nothing before the sync");
    fixture.sync().await;
    let (_, all) = fixture.json("/v1/resources").await;
    assert_eq!(all["revision"], json!(7));
    let row = |index: usize, field: &str| all["resources"][index][field].clone();
    assert_eq!((row(0, "type"), row(0, "name"), row(0, "bytes")), (json!("cds"), json!("shop"), json!(6)));
    assert_eq!(row(0, "value"), Value::Null);
    let (_, one) = fixture.json("/v1/resources?type=cds&name=shop").await;
    assert_eq!(one["resources"][0]["value"], json!("CgRzaG9w"));
    assert!(one["resources"][0]["text"].as_str().unwrap().contains("name: \"shop\""));
    let (_, broken) = fixture.json("/v1/resources?name=x").await;
    assert_eq!(broken["resources"][0]["value"], json!("/w=="));
    assert_eq!(broken["resources"][0]["text"], Value::Null);
    assert_eq!(fixture.json("/v1/resources?type=eds").await.1["resources"], json!([]));
}

#[tokio::test]
async fn metrics_count_clients_and_resources() {
    let fixture = Fixture::new();
    fixture.sync().await;
    fixture.admin.metrics.pushed(ResourceKind::Cluster);
    fixture.admin.metrics.acked(ResourceKind::Cluster, Some(std::time::Duration::from_millis(2)));
    fixture.admin.metrics.nacked(ResourceKind::Route);
    let (status, text) = fixture.get("/metrics").await;
    assert_eq!(status, StatusCode::OK);
    for line in [
        "control_server_clients 0",
        "control_server_streams{state=\"nacked\"} 0",
        "control_server_pushes_total{type=\"eds\"} 0",
        "control_server_synced 1",
        "control_server_config_revision 7",
        "control_server_objects{kind=\"ServiceEntry\"} 1",
        "control_server_diagnostics{severity=\"error\"} 1",
        "control_server_waiting_objects 0",
        "control_server_resources{type=\"cds\"} 1",
        "control_server_pushes_total{type=\"cds\"} 1",
        "control_server_acks_total{type=\"cds\"} 1",
        "control_server_nacks_total{type=\"rds\"} 1",
        "control_server_push_latency_seconds_count 1",
        "control_server_load_reporters 0",
        "control_server_tls_reloads_total{result=\"failed\"} 0",
    ] {
        assert!(text.lines().any(|found| found == line), "{line} is missing in\n{text}");
    }
    assert!(text.contains("control_server_build_info{version=\""));
    assert!(text.ends_with("# EOF\n"));
}

#[tokio::test]
async fn errors_are_answered_in_json() {
    let fixture = Fixture::new();
    for (path, status, part) in [
        ("/nothing", StatusCode::NOT_FOUND, "GET / lists"),
        ("/v1/clients/9", StatusCode::NOT_FOUND, "no client \"9\""),
        ("/v1/resources?type=xyz", StatusCode::BAD_REQUEST, "use cds, eds, leds, lds, rds"),
        ("/v1/resources?type=a&type=b", StatusCode::BAD_REQUEST, "duplicate"),
    ] {
        let (found, body) = fixture.json(path).await;
        assert_eq!(found, status, "{path}");
        assert!(body["message"].as_str().unwrap().contains(part), "{path}: {body}");
    }
    let request = Request::post("/v1/clients").body(Body::empty()).unwrap();
    let response = router(fixture.admin.clone()).call(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED);
    for (content_type, status, part) in [
        ("text/plain", StatusCode::UNSUPPORTED_MEDIA_TYPE, "content-type: application/json"),
        ("application/json", StatusCode::CONFLICT, "no change waits"),
    ] {
        let request = Request::post("/v1/waiting/x-1/approve").header("content-type", content_type);
        let response =
            router(fixture.admin.clone()).call(request.body(Body::empty()).unwrap()).await.unwrap();
        assert_eq!(response.status(), status);
        let body = response.into_body().collect().await.unwrap().to_bytes();
        assert!(String::from_utf8_lossy(&body).contains(part), "{body:?}");
    }
    let nothing = json!({ "interval_seconds": 10.0, "reporters": 0, "clusters": [] });
    assert_eq!(fixture.json("/v1/load").await, (StatusCode::OK, nothing));
    let (_, index) = fixture.get("/").await;
    assert!(index.contains("/v1/resources"));
}

#[tokio::test]
async fn name_that_differs_by_client_is_listed_for_every_scope() {
    let fixture = Fixture::new();
    let resource = |version: &str| {
        Some(Arc::new(EncodedResource {
            name: "r".into(),
            version: version.into(),
            bytes: Bytes::new(),
            made_by: Arc::default(),
            rules: None,
        }))
    };
    let selector = ScopeSelector { namespace: Some("qa".into()), ..ScopeSelector::default() };
    let scoped = Scoped::new(resource("v1"), vec![(selector, resource("v2"))]);
    let mut set = ResourceSet::at(8);
    set.insert_scoped(ResourceKind::Route.into(), "r".into(), scoped);
    fixture.resources.send_replace(Arc::new(set));
    fixture.sync().await;
    let (_, found) = fixture.json("/v1/resources?type=rds&name=r").await;
    let entries = found["resources"].as_array().unwrap().iter();
    let entries: Vec<_> = entries.map(|one| (one["scope"].clone(), one["version"].clone())).collect();
    assert_eq!(entries, [(json!("namespace=qa"), json!("v2")), (Value::Null, json!("v1"))]);
}
