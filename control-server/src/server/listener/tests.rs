//! How long connections last, over a pipe and on virtual time.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use http::{Method, Request};
use http_body_util::Empty;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tonic::service::Routes;

use crate::connection::{Connection, Departing};
use crate::metrics::Metrics;
use crate::server::connections::{Connections, Limits};

use super::MaxAge;
use super::connection::Life;

/// A served connection; gives how long it lasted. Nothing is served but UNIMPLEMENTED.
fn serve(max_age: Option<MaxAge>) -> (DuplexStream, JoinHandle<Duration>) {
    let (stop, stopping) = watch::channel(false);
    let (client, lasted) = serve_until(stopping, max_age);
    tokio::spawn(async move { stop.closed().await });
    (client, lasted)
}

/// The same, until the server stops.
fn serve_until(
    stopping: watch::Receiver<bool>,
    max_age: Option<MaxAge>,
) -> (DuplexStream, JoinHandle<Duration>) {
    let (ours, theirs) = tokio::io::duplex(64 << 10);
    let (departing, departure) = Departing::new();
    let task = tokio::spawn(async move {
        let connections = Connections::new(Limits::shared(10));
        let place = Arc::new(connections.enter(Ipv4Addr::LOCALHOST.into()).unwrap());
        let mut life = Life { stopping, place, max_age, departing, metrics: Metrics::default() };
        let began = tokio::time::Instant::now();
        life.serve(theirs, Connection { departure, ..Connection::default() }, Routes::default()).await;
        began.elapsed()
    });
    (ours, task)
}

/// What HTTP/2 begins with, and empty SETTINGS.
const HELLO: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00";

/// Whether a time in seconds is as expected, and a little more.
fn is_about(found: Duration, seconds: u64) -> bool {
    let expected = Duration::from_secs(seconds);
    (expected..expected + Duration::from_secs(1)).contains(&found)
}

#[tokio::test(start_paused = true)]
async fn client_without_ping_answer_is_closed() {
    let (mut client, lasted) = serve(None);
    client.write_all(HELLO).await.unwrap();
    let mut read = Vec::new();
    client.read_to_end(&mut read).await.unwrap();
    let lasted = lasted.await.unwrap();
    assert!(is_about(lasted, 50), "{lasted:?}");
}

#[tokio::test(start_paused = true)]
async fn connection_without_stream_is_closed() {
    let (_silent, lasted) = serve(None);
    let lasted = lasted.await.unwrap();
    assert!(is_about(lasted, 65), "without a byte of HTTP/2: {lasted:?}");
    let (client, lasted) = serve(None);
    // Answers pings.
    let (_requests, connection) = http2::Builder::new(TokioExecutor::new())
        .handshake::<_, Empty<bytes::Bytes>>(TokioIo::new(client))
        .await
        .unwrap();
    tokio::spawn(connection);
    let lasted = lasted.await.unwrap();
    assert!(is_about(lasted, 60), "{lasted:?}");
}

/// It would hold up the whole drain.
#[tokio::test(start_paused = true)]
async fn shutdown_does_not_wait_for_silent_connections() {
    let (stop, stopping) = watch::channel(false);
    let (mut client, lasted) = serve_until(stopping, None);
    tokio::time::sleep(Duration::from_secs(10)).await;
    stop.send_replace(true);
    let lasted = lasted.await.unwrap();
    assert!(is_about(lasted, 11), "{lasted:?}");
    let mut rest = Vec::new();
    client.read_to_end(&mut rest).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn connection_with_stream_stays_until_its_maximum_age() {
    let max_age = MaxAge { age: Duration::from_secs(1000), grace: Duration::from_secs(30) };
    let (client, lasted) = serve(Some(max_age));
    // Pings every second, which the server allows.
    let (mut requests, connection) = http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .keep_alive_interval(Duration::from_secs(1))
        .keep_alive_while_idle(true)
        .handshake(TokioIo::new(client))
        .await
        .unwrap();
    let connection = tokio::spawn(connection);
    let request =
        Request::builder().method(Method::POST).uri("http://a/b/c").body(Empty::<bytes::Bytes>::new());
    requests.send_request(request.unwrap()).await.unwrap();
    let lasted = lasted.await.unwrap();
    assert!((900..=1101).contains(&lasted.as_secs()), "{lasted:?}");
    connection.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn unread_connection_ends_at_its_maximum_age() {
    let max_age = MaxAge { age: Duration::from_secs(10), grace: Duration::from_secs(5) };
    let (_deaf, lasted) = serve(Some(max_age));
    let lasted = lasted.await.unwrap();
    assert!((19..=22).contains(&lasted.as_secs()), "{lasted:?}");
}
