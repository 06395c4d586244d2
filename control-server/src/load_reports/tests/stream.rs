//! One stream between the generated client and the service, on virtual time and without sockets.

use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::{BufMut as _, Bytes, BytesMut};
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};
use prost::Message as _;
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::codegen::Service as _;
use tonic::{Code, Status, Streaming};
use tracing::subscriber::DefaultGuard;
use xds_proto::envoy::config::core::v3::Node;
use xds_proto::envoy::service::load_stats::v3::load_reporting_service_client::LoadReportingServiceClient;
use xds_proto::envoy::service::load_stats::v3::load_reporting_service_server::LoadReportingServiceServer;
use xds_proto::envoy::service::load_stats::v3::{LoadStatsRequest, LoadStatsResponse};

use crate::discovery::{Drain, Feed, ResourceCache};
use crate::load_reports::limits::{
    BURST, FIRST_REQUEST, MAX_ENTRIES, MAX_NODE_ID, MAX_REPORT_BYTES, MAX_REPORT_ENTRIES, PER_INTERVAL,
};
use crate::load_reports::{LoadReporting, LoadReports};
use crate::metrics::Metrics;
use crate::resources::{EncodedResource, ResourceKind, ResourceSet};
use crate::state::PipelineState;

use super::{INTERVAL, large, read, stats};

/// Serves the cluster `s`.
fn service(reports: &LoadReports) -> LoadReportingServiceServer<LoadReporting> {
    let mut set = ResourceSet::at(1);
    let cluster = EncodedResource {
        name: "s".into(),
        version: "1".into(),
        bytes: Bytes::new(),
        made_by: Arc::default(),
        rules: None,
    };
    set.insert(ResourceKind::Cluster, Arc::new(cluster));
    let resources = watch::Sender::new(Arc::new(set));
    let state = watch::Sender::new(Arc::new(PipelineState { synced: true, ..PipelineState::default() }));
    let feed = Feed { resources: resources.subscribe(), state: state.subscribe() };
    let (cache, follow) = ResourceCache::follow(feed);
    tokio::spawn(async move {
        follow.await;
        drop((resources, state));
    });
    LoadReporting::new(reports.clone(), cache, Drain::default(), Metrics::default()).into_service()
}

/// A client that says what it is told to.
struct Client {
    requests: mpsc::UnboundedSender<LoadStatsRequest>,
    responses: Streaming<LoadStatsResponse>,
}

impl Client {
    async fn open(reports: &LoadReports) -> Self {
        let (requests, receiver) = mpsc::unbounded_channel();
        let mut client = LoadReportingServiceClient::new(service(reports));
        let responses = client.stream_load_stats(UnboundedReceiverStream::new(receiver)).await.unwrap();
        Self { requests, responses: responses.into_inner() }
    }

    /// The same, and says who it is.
    async fn greeted(reports: &LoadReports) -> Self {
        let mut client = Self::open(reports).await;
        client.say("node-1");
        client.responses.message().await.unwrap().unwrap();
        client
    }

    fn say(&self, node_id: &str) {
        let node = Node { id: node_id.to_owned(), ..Node::default() };
        self.requests.send(LoadStatsRequest { node: Some(node), cluster_stats: vec![] }).unwrap();
    }

    fn report(&self) {
        self.requests.send(LoadStatsRequest::default()).unwrap();
    }

    /// How the stream ends, which it has to within an hour.
    async fn end(&mut self) -> Status {
        let end = async {
            loop {
                match self.responses.message().await {
                    Ok(Some(_)) => {}
                    Ok(None) => return Status::ok(""),
                    Err(status) => return status,
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(3600), end).await.expect("no end")
    }
}

/// What is written to the log on this thread.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn start() -> (Self, DefaultGuard) {
        let log = Self::default();
        let writer = log.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_writer(move || writer.clone())
            .with_max_level(tracing::Level::WARN)
            .with_ansi(false)
            .finish();
        (log, tracing::subscriber::set_default(subscriber))
    }

    fn lines(&self) -> Vec<String> {
        String::from_utf8_lossy(&self.0.lock().unwrap()).lines().map(str::to_owned).collect()
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn silent_client_is_disconnected() {
    let reports = LoadReports::new(INTERVAL);
    let mut client = Client::open(&reports).await;
    let began = tokio::time::Instant::now();
    let status = client.end().await;
    assert_eq!((status.code(), began.elapsed().as_secs()), (Code::InvalidArgument, FIRST_REQUEST.as_secs()));
    assert!(status.message().contains("no request within 30 s"), "{status}");
    let mut client = Client::greeted(&reports).await;
    tokio::time::timeout(100 * FIRST_REQUEST, client.end()).await.expect_err("who has spoken may be silent");
}

#[tokio::test(start_paused = true)]
async fn reports_far_beyond_the_interval_end_the_stream() {
    let reports = LoadReports::new(INTERVAL);
    let mut client = Client::greeted(&reports).await;
    for _ in 0..BURST {
        client.report();
    }
    tokio::time::sleep(INTERVAL).await;
    for _ in 0..PER_INTERVAL {
        client.report();
    }
    tokio::time::timeout(INTERVAL / 100, client.end()).await.expect_err("within the limit");
    let (log, _guard) = Log::start();
    client.report();
    let status = client.end().await;
    assert_eq!(status.code(), Code::ResourceExhausted);
    for part in ["100 at once", "10 every 10s", "load_reporting_interval"] {
        assert!(status.message().contains(part), "{part:?} is missing in {status}");
    }
    let lines = log.lines();
    assert!(lines.len() == 1 && lines[0].contains("node-1"), "{lines:?}");
}

#[tokio::test(start_paused = true)]
async fn full_table_is_reported_once_per_stream() {
    let reports = LoadReports::new(INTERVAL);
    let others: Vec<_> = (0..MAX_ENTRIES / MAX_REPORT_ENTRIES).map(|_| reports.begin()).collect();
    let report = read(large(310));
    for other in &others {
        other.take(&Arc::from("other"), report.clone()).unwrap();
    }
    let (log, _guard) = Log::start();
    let client = Client::greeted(&reports).await;
    for _ in 0..5 {
        let cluster_stats = vec![stats("s", 10, vec![])];
        client.requests.send(LoadStatsRequest { node: None, cluster_stats }).unwrap();
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    let lines = log.lines();
    assert!(lines.len() == 1 && lines[0].contains("no room"), "{lines:?}");
}

#[tokio::test(start_paused = true)]
async fn node_id_length_is_bounded() {
    let reports = LoadReports::new(INTERVAL);
    let mut client = Client::open(&reports).await;
    client.say(&"n".repeat(MAX_NODE_ID));
    assert!(client.responses.message().await.unwrap().is_some());
    let mut client = Client::open(&reports).await;
    client.say(&"n".repeat(MAX_NODE_ID + 1));
    let status = client.end().await;
    assert_eq!(status.code(), Code::InvalidArgument);
    for part in ["65537 bytes", "at most 65536", "node.id"] {
        assert!(status.message().contains(part), "{part:?} is missing in {status}");
    }
}

/// A message with its prefix, which may lie.
fn framed(length: usize, message: &[u8]) -> Bytes {
    let mut bytes = BytesMut::new();
    bytes.put_u8(0);
    bytes.put_u32(length.try_into().unwrap());
    bytes.put(message);
    bytes.freeze()
}

/// How a stream ends over which this comes after the node; the client half-closes it then.
async fn end_after(piece: io::Result<Bytes>) -> Status {
    let node = Node { id: "node-1".to_owned(), ..Node::default() };
    let greeting = LoadStatsRequest { node: Some(node), cluster_stats: vec![] }.encode_to_vec();
    let pieces = [Ok(framed(greeting.len(), &greeting)), piece];
    let body = StreamBody::new(tokio_stream::iter(pieces.map(|piece| piece.map(Frame::data))));
    let request = http::Request::builder()
        .method("POST")
        .uri("/envoy.service.load_stats.v3.LoadReportingService/StreamLoadStats")
        .header("content-type", "application/grpc")
        .body(tonic::body::Body::new(body))
        .unwrap();
    let response = service(&LoadReports::new(INTERVAL)).call(request).await.unwrap();
    let body = response.into_body().collect();
    let body = tokio::time::timeout(Duration::from_secs(3600), body).await.expect("no end").unwrap();
    Status::from_header_map(body.trailers().unwrap()).unwrap()
}

#[tokio::test(start_paused = true)]
async fn unreadable_request_ends_stream_with_error() {
    let large = MAX_REPORT_BYTES + 1;
    for (piece, code, parts) in [
        (framed(3, b"\x0a\xff\xff"), Code::InvalidArgument, ["cannot be read", "LoadStatsRequest"]),
        (framed(100, b"half of it"), Code::InvalidArgument, ["cannot be read", "LoadStatsRequest"]),
        (framed(large, b""), Code::ResourceExhausted, ["at most 4194304 bytes", "fewer clusters"]),
    ] {
        let (log, _guard) = Log::start();
        let status = end_after(Ok(piece)).await;
        assert_eq!(status.code(), code, "{status}");
        for part in parts {
            assert!(status.message().contains(part), "{part:?} is missing in {status}");
        }
        let lines = log.lines();
        assert!(lines.len() == 1 && lines[0].contains("node-1"), "{lines:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn broken_connection_is_no_request() {
    let (log, _guard) = Log::start();
    for piece in [Err(io::Error::from(io::ErrorKind::ConnectionReset)), Ok(Bytes::new())] {
        let status = end_after(piece).await;
        assert_eq!((status.code(), log.lines()), (Code::Ok, vec![]), "{status}");
    }
}
