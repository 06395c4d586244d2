//! Clients of the admin port that never end what they begin, over a pipe and on virtual time.

use std::net::Ipv4Addr;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::routing::{get, post};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
use tokio::task::JoinHandle;

use super::*;

/// A server with a large answer, and one that needs the request's body.
fn answers() -> Answers {
    let large = || async { "x".repeat(4 << 20) };
    let routes = Router::new().route("/livez", get(|| async { "ok" })).route("/v1/large", get(large));
    Answers::new(routes.route("/v1/body", post(|body: Bytes| async move { body.len().to_string() })))
}

/// A connection; gives how many seconds it lasted.
fn connect(answers: &Answers) -> (DuplexStream, JoinHandle<u64>) {
    let connections = Connections::new(Limits { most: 1, most_of_client: 1 });
    let place = connections.enter(Ipv4Addr::LOCALHOST.into()).unwrap();
    let (ours, theirs) = tokio::io::duplex(1024);
    let answers = answers.clone();
    let lasted = tokio::spawn(async move {
        let began = tokio::time::Instant::now();
        run(theirs, place, answers).await;
        began.elapsed().as_secs()
    });
    (ours, lasted)
}

async fn text(mut client: DuplexStream) -> String {
    let mut text = String::new();
    client.read_to_string(&mut text).await.unwrap();
    text
}

#[tokio::test(start_paused = true)]
async fn connection_that_sends_no_whole_head_is_closed() {
    for begun in ["", "GET /livez HTTP/1.1\r\nHost: a\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"] {
        let (mut client, lasted) = connect(&answers());
        client.write_all(begun.as_bytes()).await.unwrap();
        let lasted = lasted.await.unwrap();
        assert!(lasted <= 11, "{begun:?}: {lasted}");
    }
}

#[tokio::test(start_paused = true)]
async fn head_that_comes_byte_by_byte_is_cut_off() {
    let (mut client, lasted) = connect(&answers());
    tokio::spawn(async move {
        for byte in b"GET /livez HTTP/1.1\r\nHost: ".iter().chain(std::iter::repeat_n(&b'a', 10_000)) {
            if client.write_all(&[*byte]).await.is_err() {
                break;
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    });
    assert!(lasted.await.unwrap() <= 11);
}

#[tokio::test(start_paused = true)]
async fn body_that_never_ends_is_answered_with_a_timeout() {
    let (mut client, _lasted) = connect(&answers());
    client.write_all(b"POST /v1/body HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nabc").await.unwrap();
    let mut answer = [0; 12];
    client.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 408");
}

#[tokio::test(start_paused = true)]
async fn answers_that_nobody_reads_give_their_room_back() {
    let answers = answers();
    let mut unread = Vec::new();
    for _ in 0..4 {
        let (mut client, lasted) = connect(&answers);
        client.write_all(b"GET /v1/large HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
        let mut begun = [0; 12];
        client.read_exact(&mut begun).await.unwrap();
        assert_eq!(&begun, b"HTTP/1.1 200");
        unread.push((client, lasted));
    }
    let ask = |path: &'static str| {
        let (mut client, _) = connect(&answers);
        async move {
            let request = format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
            client.write_all(request.as_bytes()).await.unwrap();
            text(client).await
        }
    };
    assert!(ask("/livez").await.ends_with("\r\n\r\nok"), "probes have their own room");
    assert!(ask("/v1/large").await.starts_with("HTTP/1.1 503"));
    for (_client, lasted) in unread {
        let lasted = lasted.await.unwrap();
        assert!((30..=61).contains(&lasted), "{lasted}");
    }
    assert!(ask("/v1/large").await.starts_with("HTTP/1.1 200"));
}
