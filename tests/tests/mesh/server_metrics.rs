//! The metrics of a server's calls, as OpenTelemetry collects them.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::SocketAddr;

use examples::greeter::HelloRequest;
use examples::greeter::greeter_client::GreeterClient;
use examples::greeter::greeter_server::GreeterServer;
use examples::service::GreeterService;
use mesh_core::config::{ServerChain, ServerConfig, ServerRoutes};
use mesh_core::observe::{ServerMetrics, ServerObserver};
use mesh_core::runtime::server::FixedServer;
use mesh_tonic::MeshServer;
use prost::Message;
use tests::eventually;
use tonic::body::Body;
use tonic::codegen::{Body as HttpBody, Bytes, Service, StdError, http};
use tonic::metadata::MetadataValue;
use tonic::transport::Channel;
use tonic::{Code, Request};

use crate::meter::{Provider, to_float};

const METHOD: &str = "grpc.method=mesh.examples.v1.Greeter/SayHello";

/// A server of the greeter.
pub(crate) async fn serve(observer: impl ServerObserver) -> SocketAddr {
    serve_service(observer, GreeterServer::new(GreeterService::new("a", "v1"))).await
}

/// A server of this service.
pub(crate) async fn serve_service<S, B>(observer: impl ServerObserver, service: S) -> SocketAddr
where
    S: Service<http::Request<Body>, Response = http::Response<B>, Error = Infallible>
        + Clone
        + Send
        + 'static,
    S::Future: Send,
    B: HttpBody<Data = Bytes> + Send + 'static,
    B::Error: Into<StdError>,
{
    let config = ServerConfig::of_chain(ServerChain::new(ServerRoutes::all())).unwrap();
    let server = MeshServer::builder().observer(observer);
    let server = server.fixed(&FixedServer::new(config), "127.0.0.1:0").await.unwrap();
    let address = server.local_addr();
    tokio::spawn(server.serve(service));
    address
}

/// A client without a mesh, and its server.
async fn client(metrics: ServerMetrics) -> GreeterClient<Channel> {
    GreeterClient::connect(format!("http://{}", serve(metrics).await)).await.unwrap()
}

fn metrics(provider: &Provider) -> ServerMetrics {
    ServerMetrics::new(&provider.meter()).with_methods(["mesh.examples.v1.Greeter/SayHello"])
}

fn hello() -> HelloRequest {
    HelloRequest { name: "you".to_owned(), count: 3 }
}

fn asking(behavior: &'static str) -> Request<HelloRequest> {
    let mut request = Request::new(hello());
    request.metadata_mut().insert("rpc-behavior", MetadataValue::from_static(behavior));
    request
}

/// What calls of a method have measured, by status.
fn expected(method: &str, calls: &[(&str, u64)]) -> BTreeMap<String, u64> {
    let started = calls.iter().map(|(_, count)| count).sum();
    let mut expected = BTreeMap::from([(format!("grpc.server.call.started{{{method}}}"), started)]);
    for (status, count) in calls {
        for name in ["duration", "sent_total_compressed_message_size", "rcvd_total_compressed_message_size"] {
            expected.insert(format!("grpc.server.call.{name}{{{method},grpc.status={status}}}"), *count);
        }
    }
    expected
}

/// Proves: OB-03, OB-04.
#[tokio::test]
async fn server_measures_its_calls_by_method_and_status() {
    let provider = Provider::new();
    let mut client = client(metrics(&provider)).await;
    let reply = client.say_hello(hello()).await.unwrap().into_inner();
    let refused = client.say_hello(asking("error-code-5")).await.unwrap_err();
    assert_eq!(refused.code(), Code::NotFound);
    provider.until_counts(&expected(METHOD, &[("OK", 1), ("NOT_FOUND", 1)])).await;

    let seen = provider.collect();
    let of = |name: &str| &seen[&format!("grpc.server.call.{name}{{{METHOD},grpc.status=OK}}")];
    let (sent, received) = (reply.encoded_len() as u64, hello().encoded_len() as u64);
    assert!((of("sent_total_compressed_message_size").sum - to_float(sent)).abs() < 0.1);
    assert!((of("rcvd_total_compressed_message_size").sum - to_float(received)).abs() < 0.1);
    assert!(of("duration").sum > 0.0);
    let units: Vec<_> = seen.values().map(|series| &*series.unit).collect();
    // in the order of the names: durations, received, sent, started
    assert_eq!(units, ["s", "s", "By", "By", "By", "By", "{call}"]);
    // as many as the metrics of clients have
    assert_eq!(
        (of("duration").bounds.len(), of("sent_total_compressed_message_size").bounds.len()),
        (41, 14)
    );
}

/// Proves: OB-03.
#[tokio::test]
async fn call_that_its_client_drops_is_cancelled() {
    let provider = Provider::new();
    let mut client = client(metrics(&provider)).await;
    let started = format!("grpc.server.call.started{{{METHOD}}}");
    let mut pending = Box::pin(client.say_hello(asking("sleep-60")));
    eventually("the server has the call", async || {
        let polled = std::future::poll_fn(|cx| std::task::Poll::Ready(pending.as_mut().poll(cx))).await;
        assert!(polled.is_pending());
        if provider.counts().contains_key(&started) { Ok(()) } else { Err("not yet".to_owned()) }
    })
    .await;
    drop(pending);
    // the service read the request before it slept
    provider.until_counts(&expected(METHOD, &[("CANCELLED", 1)])).await;
}

/// Proves: OB-05, SEC-09.
#[tokio::test]
async fn server_shows_only_names_of_methods_that_it_knows() {
    let (unknown, allowed) = (Provider::new(), Provider::new());
    let allowing = ServerMetrics::new(&allowed.meter()).allow_methods(|name| name.ends_with("/SayHello"));
    for metrics in [ServerMetrics::new(&unknown.meter()), allowing] {
        client(metrics).await.say_hello(hello()).await.unwrap();
    }
    unknown.until_counts(&expected("grpc.method=other", &[("OK", 1)])).await;
    allowed.until_counts(&expected(METHOD, &[("OK", 1)])).await;
}
