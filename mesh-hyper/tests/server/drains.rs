//! The end of connections, and limits of time.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::routing::get;
use bytes::Bytes;
use hyper::body::Frame;
use mesh_core::config::{ServerChain, ServerConfig, ServerRoutes};
use mesh_hyper::{FixedServer, ServerSettings};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::{LIMIT, Running, read_to_end, router};

fn open_to_all() -> ServerChain {
    ServerChain::new(ServerRoutes::all())
}

fn named(name: &str) -> ServerConfig {
    let mut chain = open_to_all();
    chain.name = Some(name.into());
    ServerConfig::of_chain(chain).unwrap()
}

/// Reads until the answer has these bytes.
async fn read_until(stream: &mut TcpStream, end: &str) -> String {
    let mut answer = String::new();
    while !answer.contains(end) {
        let mut part = [0; 1024];
        let count = timeout(LIMIT, stream.read(&mut part)).await.unwrap().unwrap();
        assert!(count > 0, "closed after {answer:?}");
        answer.push_str(str::from_utf8(&part[..count]).unwrap());
    }
    answer
}

/// An idle connection is closed, and one with a request after its response, which says so.
#[tokio::test]
async fn update_of_the_listener_ends_connections_after_their_requests() {
    let (begun, go_on) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let (told, waits) = (begun.clone(), go_on.clone());
    let slow = async move || {
        told.add_permits(1);
        waits.acquire().await.unwrap().forget();
        "done"
    };
    let config = FixedServer::new(named("one"));
    let router = router().route("/slow", get(slow));
    let server = Running::start(&config, ServerSettings::default(), router).await;
    let mut idle = TcpStream::connect(server.address).await.unwrap();
    idle.write_all(b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    read_until(&mut idle, "false false").await;
    let mut busy = TcpStream::connect(server.address).await.unwrap();
    busy.write_all(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    begun.acquire().await.unwrap().forget();
    config.set(named("two"));
    assert_eq!(read_to_end(idle).await, "");
    go_on.add_permits(1);
    let answer = read_to_end(busy).await;
    assert!(answer.ends_with("done") && answer.contains("connection: close\r\n"), "{answer}");
}

#[tokio::test]
async fn shutdown_ends_idle_connections_at_once() {
    let server = Running::filtering([]).await;
    let mut idle = TcpStream::connect(server.address).await.unwrap();
    idle.write_all(b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    read_until(&mut idle, "false false").await;
    timeout(LIMIT, server.handle.shutdown(Duration::from_secs(3600))).await.unwrap();
    assert_eq!(read_to_end(idle).await, "");
}

/// S8: a client that sends its head too slowly is closed.
#[tokio::test]
async fn head_that_does_not_end_is_closed_at_its_limit() {
    let config = FixedServer::new(ServerConfig::of_chain(open_to_all()).unwrap());
    let mut settings = ServerSettings::default();
    settings.http1.head_timeout = Duration::from_millis(50);
    let server = Running::start(&config, settings, router()).await;
    assert!(!server.exchange("GET /x HTTP/1.1\r\nHost: a\r\n").await.contains(" 200 "));
}

/// The client must not take a part of a response for the whole.
#[tokio::test]
async fn response_beyond_the_longest_time_of_a_request_is_cut_off() {
    let mut chain = open_to_all();
    chain.http.max_stream_duration = Some(Duration::from_millis(100));
    let config = FixedServer::new(ServerConfig::of_chain(chain).unwrap());
    let endless = async || Body::new(FirstAndNoMore(Some(Bytes::from_static(b"first"))));
    let silent = async || std::future::pending::<&str>().await;
    let router = Router::new().route("/endless", get(endless)).route("/silent", get(silent));
    let server = Running::start(&config, ServerSettings::default(), router).await;
    let ask = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    let mut answer = server.exchange(ask("/endless")).await;
    // the time was over before the head of the response was sent
    while answer.starts_with("HTTP/1.1 504 ") {
        answer = server.exchange(ask("/endless")).await;
    }
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert!(!answer.ends_with("0\r\n\r\n"), "the body has ended: {answer}");
    let answer = server.exchange(ask("/silent")).await;
    assert!(answer.starts_with("HTTP/1.1 504 "), "{answer}");
}

/// One frame, and then a silence that does not end.
struct FirstAndNoMore(Option<Bytes>);

impl http_body::Body for FirstAndNoMore {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.take().map_or(Poll::Pending, |first| Poll::Ready(Some(Ok(Frame::data(first)))))
    }
}
