//! Load reports over loopback sockets, with a generated client.

use std::time::Duration;

use control_server::resources::ResourceKind::Listener;
use control_server::server::Options;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio_stream::wrappers::UnboundedReceiverStream;
use xds_proto::envoy::config::core::v3::Node;
use xds_proto::envoy::config::endpoint::v3::{ClusterStats, UpstreamLocalityStats};
use xds_proto::envoy::service::load_stats::v3::load_reporting_service_client::LoadReportingServiceClient;
use xds_proto::envoy::service::load_stats::v3::{LoadStatsRequest, LoadStatsResponse};
use xds_proto::google::protobuf;

use crate::support::{Client, Fixture, channel};

/// A client that reports what it is told to.
pub(crate) struct Reporter {
    requests: mpsc::UnboundedSender<LoadStatsRequest>,
    responses: tonic::Streaming<LoadStatsResponse>,
}

impl Reporter {
    /// Opens the stream and says who it is.
    pub(crate) async fn connect(fixture: &Fixture, features: &[&str]) -> Result<Self, tonic::Status> {
        let mut client = LoadReportingServiceClient::new(channel(fixture.running.xds_address()).await);
        let (requests, receiver) = mpsc::unbounded_channel();
        let node = Node {
            id: "node-1".to_owned(),
            client_features: features.iter().map(ToString::to_string).collect(),
            ..Node::default()
        };
        requests.send(LoadStatsRequest { node: Some(node), cluster_stats: vec![] }).unwrap();
        let responses = client.stream_load_stats(UnboundedReceiverStream::new(receiver)).await?.into_inner();
        Ok(Self { requests, responses })
    }

    pub(crate) async fn asked(&mut self) -> LoadStatsResponse {
        let message = tokio::time::timeout(Duration::from_secs(60), self.responses.message());
        message.await.expect("no message in 10 s").unwrap().unwrap()
    }

    /// Calls that succeeded within ten seconds.
    pub(crate) fn report(&self, cluster: &str, successes: u64) {
        let locality = UpstreamLocalityStats {
            total_successful_requests: successes,
            total_issued_requests: successes,
            ..UpstreamLocalityStats::default()
        };
        let stats = ClusterStats {
            cluster_name: cluster.to_owned(),
            upstream_locality_stats: vec![locality],
            load_report_interval: Some(protobuf::Duration { seconds: 10, nanos: 0 }),
            ..ClusterStats::default()
        };
        self.requests.send(LoadStatsRequest { node: None, cluster_stats: vec![stats] }).unwrap();
    }
}

const ALL: &str = "envoy.lrs.supports_send_all_clusters";

/// What the admin API says, once it is as wanted.
async fn load_once(fixture: &Fixture, path: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    let mut last = Value::Null;
    for _ in 0..1000 {
        last = fixture.ask(path).await;
        if wanted(&last) {
            return last;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("still {last}");
}

#[tokio::test]
async fn clients_are_asked_for_load_reports_and_shown() {
    let fixture = Fixture::with(&["cds a=1", "cds b=1"]).await;
    let mut all = Reporter::connect(&fixture, &["x", ALL]).await.unwrap();
    let asked = all.asked().await;
    assert!(asked.send_all_clusters && asked.clusters.is_empty());
    assert_eq!(asked.load_reporting_interval, Some(protobuf::Duration { seconds: 10, nanos: 0 }));
    let mut named = Reporter::connect(&fixture, &[]).await.unwrap();
    let asked = named.asked().await;
    assert_eq!(
        (asked.send_all_clusters, &asked.clusters[..]),
        (false, &["a".to_owned(), "b".to_owned()][..])
    );

    all.report("a", 100);
    all.report("unknown", 100);
    all.report("a", 100);
    named.report("a", 50);
    let of_a = |value: &Value| value["clusters"][0]["success_per_second"] == json!(15.0);
    let shown = load_once(&fixture, "/v1/load?cluster=a", of_a).await;
    assert_eq!(shown["clusters"][0]["by_reporter"].as_array().unwrap().len(), 2);
    assert_eq!(shown["clusters"][0]["by_reporter"][0]["node_id"], json!("node-1"));
    let metrics = fixture.text("/metrics").await;
    for line in [
        "control_server_load_calls_per_second{cluster=\"a\",result=\"success\"} 15.0",
        "control_server_load_report_parts_ignored_total 1",
        "control_server_load_reporters 2",
    ] {
        assert!(metrics.lines().any(|found| found == line), "{line} is missing in\n{metrics}");
    }

    fixture.publish(&["cds a=2", "cds b=1", "cds c=1"]);
    let has_c = |value: &Value| !value["resources"].as_array().unwrap().is_empty();
    load_once(&fixture, "/v1/resources?type=cds&name=c", has_c).await;
    // Told with the first report after the change.
    named.report("a", 50);
    assert_eq!(named.asked().await.clusters, ["a", "b", "c"]);
}

#[tokio::test]
async fn oversized_report_is_refused_with_reason() {
    let fixture = Fixture::with(&["cds a=1"]).await;
    let mut reporter = Reporter::connect(&fixture, &[ALL]).await.unwrap();
    reporter.asked().await;
    reporter.report(&"x".repeat(5 << 20), 1);
    let message = tokio::time::timeout(Duration::from_secs(60), reporter.responses.message());
    let status = message.await.expect("no end in 10 s").unwrap_err();
    assert_eq!(status.code(), tonic::Code::ResourceExhausted);
    assert!(status.message().contains("4194304 bytes"), "{status}");
}

#[tokio::test]
async fn streams_end_when_the_server_drains() {
    let fixture = Fixture::with(&["cds a=1"]).await;
    let mut reporter = Reporter::connect(&fixture, &[ALL]).await.unwrap();
    reporter.asked().await;
    let drained = tokio::spawn(fixture.running.drain());
    let status = reporter.responses.message().await.unwrap_err();
    assert_eq!(status.code(), tonic::Code::Unavailable);
    assert!(drained.await.unwrap(), "all left in time");
}

#[tokio::test]
async fn load_reports_are_not_requested_when_off() {
    let off = |options| Options { load_report_interval: Duration::ZERO, ..options };
    let fixture = Fixture::with_options(&["lds a=1"], off).await;
    let status = Reporter::connect(&fixture, &[ALL]).await.err().unwrap();
    assert_eq!(status.code(), tonic::Code::Unimplemented);
    assert!(status.message().contains("--load-report-interval"), "{status}");
    let mut client = Client::connect(&fixture).await;
    client.ask(Listener, &["a"], "");
    client.expect("lds a=1").await;
}
