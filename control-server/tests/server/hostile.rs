//! Peers that are hostile or broken, over loopback sockets, while a client and a probe are served as ever.
//!
//! Each is a small form. `MESH_HOSTILE=full` makes them as large as the attacks that they come from: docs/control-server.md.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use control_server::resources::ResourceKind::Cluster;
use control_server::server::{Options, StreamLimits};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tonic::transport::Channel;

use crate::support::{Client, Fixture};

/// A size in its small form, or in its full one.
fn scaled(small: usize, full: usize) -> usize {
    if std::env::var_os("MESH_HOSTILE").is_some_and(|form| form == "full") { full } else { small }
}

/// A channel whose connections come from another address of this machine.
async fn channel_from(address: Ipv4Addr, server: SocketAddr) -> Channel {
    let endpoint = Channel::from_shared(format!("http://{server}")).unwrap();
    endpoint.local_address(Some(IpAddr::V4(address))).connect().await.unwrap()
}

/// A new client asks and is served, and the probe answers.
async fn canary_is_served(fixture: &Fixture, from: Ipv4Addr) {
    let channel = channel_from(from, fixture.running.xds_address()).await;
    let mut canary = Client::over(channel).await.unwrap();
    canary.ask(Cluster, &["a"], "");
    canary.expect("cds a=1").await;
    assert_eq!(fixture.text("/livez").await, "ok\n");
}

/// The first line of the answer, and the rest.
async fn http(fixture: &Fixture, request: &str) -> (String, String) {
    let mut stream = TcpStream::connect(fixture.running.admin_address()).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (status, rest) = answer.split_once("\r\n").unwrap();
    (status.to_owned(), rest.to_owned())
}

const NEIGHBOUR: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

#[tokio::test]
async fn request_with_very_many_names_is_refused_undecoded() {
    let fixture = Fixture::with(&["cds a=1"]).await;
    let names: Vec<String> = (0..1_000_000).map(|index| index.to_string()).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut client = Client::connect(&fixture).await;
    client.ask(Cluster, &names, "");
    let status = client.message().await.unwrap_err();
    assert_eq!(status.code(), tonic::Code::ResourceExhausted, "{status}");
    assert!(status.message().contains("with 1000000 names of one kind, at most 50000"), "{status}");
    canary_is_served(&fixture, Ipv4Addr::LOCALHOST).await;
}

#[tokio::test]
async fn idle_connections_to_the_admin_port_make_room() {
    let fixture = Fixture::with(&["cds a=1"]).await;
    let mut idle = Vec::new();
    for _ in 0..scaled(300, 20_000) {
        idle.push(TcpStream::connect(fixture.running.admin_address()).await.unwrap());
    }
    canary_is_served(&fixture, Ipv4Addr::LOCALHOST).await;
    let mut nothing = Vec::new();
    // Closed for a later one.
    let _ = idle[0].read_to_end(&mut nothing).await;
    assert_eq!(nothing, b"");
}

#[tokio::test]
async fn idle_connections_to_the_xds_port_make_room() {
    let stream_limits = StreamLimits { max_streams: scaled(10, 10_000), per_second: 0 };
    let fixture = Fixture::with_options(&["cds a=1"], |options| Options { stream_limits, ..options }).await;
    let mut old = Client::connect(&fixture).await;
    old.ask(Cluster, &["a"], "");
    let first = old.expect("cds a=1").await;
    old.answer(&first, &["a"], None);
    let mut idle = Vec::new();
    for _ in 0..scaled(100, 25_000) {
        idle.push(TcpStream::connect(fixture.running.xds_address()).await.unwrap());
    }
    canary_is_served(&fixture, Ipv4Addr::LOCALHOST).await;
    canary_is_served(&fixture, NEIGHBOUR).await;
    // A connection that is used is not closed for others.
    fixture.publish(&["cds a=2"]);
    old.expect("cds a=2").await;
    let metrics = fixture.text("/metrics").await;
    let refused = metrics.lines().find(|line| line.starts_with("control_server_connections_refused_total"));
    assert!(refused.is_some_and(|line| !line.ends_with(" 0")), "{refused:?}");
}

/// Streams of one address wait; one of another does not wait behind them.
#[tokio::test]
async fn crowd_of_streams_delays_no_other_client() {
    let stream_limits = StreamLimits { max_streams: 10_000, per_second: 20 };
    let fixture = Fixture::with_options(&["cds a=1"], |options| Options { stream_limits, ..options }).await;
    let server = fixture.running.xds_address();
    let mut crowd = tokio::task::JoinSet::new();
    for _ in 0..scaled(4, 40) {
        let channel = channel_from(Ipv4Addr::LOCALHOST, server).await;
        for _ in 0..60 {
            let channel = channel.clone();
            crowd.spawn(async move { Client::over(channel).await.is_ok() });
        }
    }
    // The first of the crowd has been refused: all that may wait do.
    while crowd.join_next().await.unwrap().unwrap() {}
    let other = channel_from(NEIGHBOUR, server).await;
    let mut canary = Client::over(other).await.unwrap();
    canary.ask(Cluster, &["a"], "");
    canary.expect("cds a=1").await;
    assert!(!crowd.is_empty());
    crowd.shutdown().await;
}

#[tokio::test]
async fn admin_port_answers_no_page_of_another_site() {
    let fixture = Fixture::with_options(&["cds a=1"], |options| Options {
        admin_hosts: vec!["mesh.internal".to_owned()],
        ..options
    })
    .await;
    for (headers, expected) in [
        ("Host: 127.0.0.1:15080", "HTTP/1.1 200 OK"),
        ("Host: localhost", "HTTP/1.1 200 OK"),
        ("Host: mesh.internal:15080", "HTTP/1.1 200 OK"),
        ("Host: rebound.example:15080", "HTTP/1.1 403 Forbidden"),
        ("Host: 127.0.0.1\r\nOrigin: http://rebound.example", "HTTP/1.1 403 Forbidden"),
    ] {
        for path in ["/v1/config", "/livez", "/metrics", "/nothing"] {
            let request = format!("GET {path} HTTP/1.1\r\n{headers}\r\nConnection: close\r\n\r\n");
            let (status, rest) = http(&fixture, &request).await;
            if path == "/nothing" && expected.contains("200") {
                assert_eq!(status, "HTTP/1.1 404 Not Found", "{headers}");
            } else {
                assert_eq!(status, expected, "{headers} {path}: {rest}");
            }
        }
    }
}

#[tokio::test]
async fn refused_body_does_not_hold_the_admin_port() {
    let fixture = Fixture::with(&["cds a=1"]).await;
    let mut unfinished = Vec::new();
    for _ in 0..scaled(50, 1000) {
        let mut stream = TcpStream::connect(fixture.running.admin_address()).await.unwrap();
        let head =
            "POST /v1/waiting/x/approve HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\nabc";
        stream.write_all(head.as_bytes()).await.unwrap();
        unfinished.push(stream);
    }
    let answered = tokio::time::timeout(Duration::from_secs(60), fixture.text("/livez")).await;
    assert_eq!(answered.unwrap(), "ok\n");
    canary_is_served(&fixture, Ipv4Addr::LOCALHOST).await;
}
