//! Limits on streams and connections, over loopback sockets.

use std::time::{Duration, Instant};

use control_server::discovery::SyncState;
use control_server::resources::ResourceKind::Cluster;
use control_server::server::{Options, StreamLimits};
use tonic::transport::Channel;
use xds_proto::envoy::service::discovery::v3::aggregated_discovery_service_client::AggregatedDiscoveryServiceClient;

use crate::support::{Client, Fixture};

async fn with_limits(max_streams: usize, per_second: u32) -> Fixture {
    let stream_limits = StreamLimits { max_streams, per_second };
    Fixture::with_options(&["cds a=1"], |options| Options { stream_limits, ..options }).await
}

async fn channel(fixture: &Fixture) -> Channel {
    let url = format!("http://{}", fixture.running.xds_address());
    Channel::from_shared(url).unwrap().connect().await.unwrap()
}

/// Opens a stream and gets what it asks for.
async fn served(channel: Channel) -> Result<Client, tonic::Status> {
    let mut client = Client::over(channel).await?;
    client.ask(Cluster, &["a"], "");
    let response = client.message().await?.unwrap();
    client.answer(&response, &["a"], None);
    Ok(client)
}

#[tokio::test]
async fn more_streams_than_allowed_are_refused_by_name() {
    let fixture = with_limits(3, 0).await;
    let channel = channel(&fixture).await;
    let mut clients = Vec::new();
    for _ in 0..3 {
        clients.push(served(channel.clone()).await.unwrap());
    }
    let status = served(channel.clone()).await.err().unwrap();
    assert_eq!(status.code(), tonic::Code::ResourceExhausted);
    assert!(status.message().contains("3 streams already, the limit (--max-streams)"), "{status}");
    assert_eq!(fixture.running.registry().len(), 3, "it cost nothing");
    let metrics = fixture.text("/metrics").await;
    assert!(
        metrics.contains("control_server_streams_refused_total{reason=\"max_streams\"} 1\n"),
        "{metrics}"
    );
    clients.pop();
    fixture.clients_once(|clients| clients.len() == 2).await;
    served(channel).await.unwrap();
}

#[tokio::test]
async fn burst_of_streams_is_paced_without_delaying_open_ones() {
    let fixture = with_limits(10_000, 100).await;
    let channels = futures_util::future::join_all((0..3).map(|_| channel(&fixture))).await;
    let mut old = served(channels[0].clone()).await.unwrap();
    let began = Instant::now();
    let crowd = tokio::spawn(futures_util::future::join_all(
        (0..250).map(|index| served(channels[index % 3].clone())).collect::<Vec<_>>(),
    ));
    fixture.publish(&["cds a=2"]);
    old.expect("cds a=2").await;
    assert!(!crowd.is_finished(), "an open stream waited for the crowd");
    let crowd = crowd.await.unwrap();
    assert!(crowd.iter().all(Result::is_ok), "{:?}", crowd.iter().find_map(|one| one.as_ref().err()));
    assert!(began.elapsed() >= Duration::from_millis(1400), "{:?}", began.elapsed());
    let metrics = fixture.text("/metrics").await;
    let delayed =
        metrics.lines().find_map(|line| line.strip_prefix("control_server_streams_delayed_total ")).unwrap();
    assert!(delayed.parse::<u32>().unwrap() > 100, "{delayed}");
}

#[tokio::test]
async fn more_connections_than_allowed_are_closed_at_once() {
    let fixture = with_limits(2, 0).await;
    let mut channels = Vec::new();
    for _ in 0..4 {
        channels.push(served_channel(&fixture).await);
    }
    let mut refused = tokio::net::TcpStream::connect(fixture.running.xds_address()).await.unwrap();
    let mut nothing = Vec::new();
    let _ = tokio::io::AsyncReadExt::read_to_end(&mut refused, &mut nothing).await;
    assert_eq!(nothing, b"");
    served(channels[0].clone()).await.unwrap();
}

#[tokio::test]
async fn request_above_the_limit_is_refused_with_the_limit() {
    let fixture = Fixture::with(&["cds a=1"]).await;
    let mut client = Client::connect(&fixture).await;
    client.ask(Cluster, &[&"a".repeat(16 << 20)], "");
    let status = client.message().await.unwrap_err();
    assert_eq!(status.code(), tonic::Code::ResourceExhausted, "{status}");
    assert!(status.message().contains("more than 16777216 bytes"), "{status}");
}

#[tokio::test]
async fn compressed_requests_are_refused_with_accepted_encodings() {
    let fixture = Fixture::with(&["cds a=1"]).await;
    let mut ads = AggregatedDiscoveryServiceClient::new(channel(&fixture).await);
    let mut request = tonic::Request::new(tokio_stream::empty());
    request.metadata_mut().insert("grpc-encoding", "gzip".parse().unwrap());
    let status = ads.stream_aggregated_resources(request).await.unwrap_err();
    assert_eq!(status.code(), tonic::Code::Unimplemented, "{status}");
    assert!(status.message().contains("gzip"), "{status}");
    assert_eq!(status.metadata().get("grpc-accept-encoding").unwrap(), "identity");
}

/// A channel whose connection is known to the server.
async fn served_channel(fixture: &Fixture) -> Channel {
    let channel = channel(fixture).await;
    drop(served(channel.clone()).await.unwrap());
    fixture.clients_once(<[_]>::is_empty).await;
    channel
}

#[tokio::test]
async fn clients_ping_as_often_as_they_like() {
    let fixture = with_limits(10, 0).await;
    let url = format!("http://{}", fixture.running.xds_address());
    let endpoint = Channel::from_shared(url).unwrap();
    let endpoint = endpoint.http2_keep_alive_interval(Duration::from_millis(5)).keep_alive_while_idle(true);
    let mut client = served(endpoint.connect().await.unwrap()).await.unwrap();
    for round in 2..50 {
        tokio::time::sleep(Duration::from_millis(20)).await;
        fixture.publish(&[&format!("cds a={round}")]);
        let response = client.expect(&format!("cds a={round}")).await;
        client.answer(&response, &["a"], None);
    }
}

/// Waits until the admin API's answer has this in it.
async fn told_once(fixture: &Fixture, path: &str, part: &str) {
    for _ in 0..1000 {
        if fixture.text(path).await.contains(part) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{part} is not in {}", fixture.text(path).await);
}

async fn with_age(age_ms: u64, grace: Duration) -> Fixture {
    let age = Duration::from_millis(age_ms);
    let change = |options| Options { max_connection_age: age, max_connection_age_grace: grace, ..options };
    Fixture::with_options(&["cds a=1"], change).await
}

#[tokio::test]
async fn old_connections_end_once_nothing_is_unanswered() {
    let fixture = with_age(300, Duration::from_secs(3600)).await;
    let channel = channel(&fixture).await;
    let mut client = Client::over(channel.clone()).await.unwrap();
    client.ask(Cluster, &["a"], "");
    let first = client.expect("cds a=1").await;
    // Too old by now, but the answer is owed, and then the next response.
    told_once(&fixture, "/metrics", "control_server_connections_aged_total 1\n").await;
    fixture.publish(&["cds a=2"]);
    told_once(&fixture, "/v1/resources?type=cds", "\"version\":\"2\"").await;
    client.answer(&first, &["a"], None);
    let second = client.expect("cds a=2").await;
    client.answer(&second, &["a"], None);
    let status = client.message().await.unwrap_err();
    assert_eq!(status.code(), tonic::Code::Unavailable);
    assert!(status.message().contains("maximum age"), "{status}");
    // The same channel goes on over another connection.
    let peer = fixture.clients_once(<[_]>::is_empty).await;
    assert_eq!(peer, []);
    served(channel).await.unwrap();
}

#[tokio::test]
async fn old_connections_end_by_force_after_the_grace() {
    let fixture = with_age(100, Duration::from_millis(300)).await;
    let mut client = Client::connect(&fixture).await;
    client.ask(Cluster, &["a"], "");
    client.expect("cds a=1").await;
    let clients = fixture.clients_once(|clients| clients.len() == 1).await;
    assert_eq!(clients[0].state, SyncState::Pending, "never answers");
    assert_eq!(client.message().await.unwrap_err().code(), tonic::Code::Unavailable);
    fixture.clients_once(<[_]>::is_empty).await;
}

/// Scenario 10, in small: connections of one moment do not end together.
#[tokio::test]
async fn ages_are_spread() {
    let fixture = with_age(2000, Duration::from_secs(10)).await;
    let began = Instant::now();
    let lives = (0..40).map(|_| async {
        let mut client = served(channel(&fixture).await).await.unwrap();
        while client.message().await.is_ok_and(|message| message.is_some()) {}
        began.elapsed()
    });
    let ends = futures_util::future::join_all(lives).await;
    let (first, last) = (ends.iter().min().unwrap(), ends.iter().max().unwrap());
    assert!(*first >= Duration::from_millis(1800), "{first:?}");
    assert!(*last - *first >= Duration::from_millis(150), "{first:?} to {last:?}");
}
