//! Servers that tell their load, with each response and apart from calls.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use examples::greeter::HelloRequest;
use examples::greeter::greeter_server::GreeterServer;
use examples::service::GreeterService;
use mesh_core::config::{
    ClusterSettings, LbPolicy, MeshConfig, ReportedWeights, WeightSource, WeightedRoundRobin,
};
use mesh_core::testing::OrcaReport;
use mesh_tonic::{
    CallLoad, FixedServer, LoadReportLayer, LoadReportService, LoadReporter, Mesh, MeshChannel, MeshServer,
};
use tonic::body::Body;
use tonic::codegen::Service;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::codegen::http::{Request as HttpRequest, Response as HttpResponse};
use tonic::metadata::MetadataMap;
use tonic::service::Routes;
use tonic::{Code, Request};
use tower::Layer;

use crate::health::Raw;
use crate::{Client, asking, client, open_to_all};

/// Says what a call costs, if the request asks for it.
#[derive(Debug, Clone)]
struct Costly<S>(S);

impl<S> Service<HttpRequest<Body>> for Costly<S>
where
    S: Service<HttpRequest<Body>, Response = HttpResponse<Body>, Error = Infallible>,
{
    type Response = S::Response;
    type Error = Infallible;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: HttpRequest<Body>) -> S::Future {
        if request.headers().contains_key("x-costly") {
            let load = request.extensions().get::<CallLoad>().unwrap();
            load.set_request_cost("rows", 1.0);
            load.set_request_cost("rows", 200.0);
            load.set_cpu_utilization(0.9);
        }
        self.0.call(request)
    }
}

/// A greeter of this name with a load.
async fn start(name: &str, load: &LoadReporter) -> SocketAddr {
    let server = MeshServer::builder();
    let server = server.fixed(&FixedServer::new(open_to_all()), "127.0.0.1:0").await.unwrap();
    let address = server.local_addr();
    let apart = LoadReportService::of(load).least_interval(Duration::from_millis(100));
    let routes = Routes::new(GreeterServer::new(GreeterService::new(name, "v1"))).add_service(apart);
    tokio::spawn(server.serve(LoadReportLayer::of(load).layer(Costly(routes))));
    address
}

/// The CPU's use and what rows cost, as the answer says.
fn told(metadata: &MetadataMap) -> Option<(Option<f64>, Option<f64>)> {
    let bytes = metadata.get_bin("endpoint-load-metrics-bin")?.to_bytes().unwrap();
    let report = OrcaReport::parse(&bytes).unwrap();
    Some((
        report.cpu_utilization,
        report.request_cost().find(|(name, _)| *name == "rows").map(|(_, cost)| cost),
    ))
}

/// Proves: OB-19.
#[tokio::test]
async fn answers_tell_the_load_of_server_and_call() {
    let load = LoadReporter::new();
    let mut client = client([start("a", &load).await]);
    let costly = || {
        let mut request = Request::new(HelloRequest::default());
        request.metadata_mut().insert("x-costly", "yes".parse().unwrap());
        request
    };
    let answer = client.say_hello(HelloRequest::default()).await.unwrap();
    assert_eq!(told(answer.metadata()), None, "nothing is known");
    load.set_cpu_utilization(0.25);
    let answer = client.say_hello(HelloRequest::default()).await.unwrap();
    assert_eq!(told(answer.metadata()), Some((Some(0.25), None)));
    let answer = client.say_hello(costly()).await.unwrap();
    assert_eq!(
        told(answer.metadata()),
        Some((Some(0.9), Some(200.0))),
        "the call's counts before the server's"
    );
    let failed = client.say_hello(asking("error-code-9")).await.unwrap_err();
    assert_eq!(failed.code(), Code::FailedPrecondition);
    assert_eq!(told(failed.metadata()), Some((Some(0.25), None)));
    load.clear_cpu_utilization();
    let answer = client.say_hello(HelloRequest::default()).await.unwrap();
    assert_eq!(told(answer.metadata()), None);
}

/// Proves: OB-20.
#[tokio::test]
async fn stream_tells_all_of_the_load_at_once_and_again_without_a_change() {
    let load = LoadReporter::new();
    load.set_named_metric("queue", 3.0);
    let channel = MeshChannel::to_endpoints("greeter", [start("a", &load).await]).unwrap();
    let mut grpc = tonic::client::Grpc::new(channel);
    // None, and less than the server's least.
    for asked in [&b""[..], &b"\x0a\x02\x10\x01"[..]] {
        grpc.ready().await.unwrap();
        let path = PathAndQuery::from_static("/xds.service.orca.v3.OpenRcaService/StreamCoreMetrics");
        let request = Request::new(Bytes::copy_from_slice(asked));
        let began = std::time::Instant::now();
        let mut reports = grpc.server_streaming(request, path, Raw).await.unwrap().into_inner();
        let first = reports.message().await.unwrap().unwrap();
        assert_eq!(OrcaReport::parse(&first).unwrap().named_metric("queue"), Some(3.0));
        assert_eq!(reports.message().await.unwrap().unwrap(), first);
        assert_eq!(reports.message().await.unwrap().unwrap(), first);
        assert!(began.elapsed() >= Duration::from_millis(200), "it was more often than the server allows");
    }
}

async fn share_of_the_first(client: &mut Client) -> usize {
    let mut count = 0;
    for _ in 0..100 {
        count += usize::from(crate::call(client).await.unwrap() == "idle");
    }
    count
}

#[tokio::test]
async fn client_calls_the_server_with_less_load_more_often() {
    let (idle, busy) = (LoadReporter::new(), LoadReporter::new());
    for (load, utilization) in [(&idle, 0.2), (&busy, 0.8)] {
        load.set_application_utilization(utilization);
        load.set_requests_per_second(100.0);
    }
    let endpoints = [start("idle", &idle).await, start("busy", &busy).await];
    for out_of_band in [None, Some(Duration::from_secs(1))] {
        let mut weights = ReportedWeights::default();
        (weights.blackout, weights.update_period) = (Duration::ZERO, Duration::from_millis(100));
        weights.out_of_band = out_of_band;
        let policy = LbPolicy::WeightedRoundRobin(WeightedRoundRobin::new(WeightSource::Reported(weights)));
        let plain = MeshConfig::to_endpoints("greeter", endpoints);
        let mut cluster = plain.clusters()["greeter"].clone().unwrap();
        cluster.settings = ClusterSettings::new("greeter").with_lb_policy(policy).into();
        let clusters = [("greeter".into(), Ok(cluster))].into();
        let config = MeshConfig::new(plain.virtual_hosts().to_vec(), clusters, None).unwrap();
        let mesh = Mesh::fixed(config.for_target("greeter"));
        let channel = MeshChannel::builder("xds:///greeter").mesh(&mesh).build().unwrap();
        let mut client = Client::new(channel);
        let mut share = 0;
        for _ in 0..500 {
            share = share_of_the_first(&mut client).await;
            if share.abs_diff(80) <= 2 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert!(share.abs_diff(80) <= 2, "{share} of 100 calls, expected 80; out of band: {out_of_band:?}");
    }
}
