use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use bytes::Bytes;
use http_body::Body;
use http_body_util::{BodyExt, StreamBody};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use super::{Http2Connection, Http2Connector, Http2Settings, Keepalive, KeepaliveScope};
use crate::runtime::connect::{
    Connect, ConnectTarget, Connection, Dial, DisconnectReason, Established, SendErrorKind, SendFailure,
};
use crate::runtime::testing::{ChannelBody, Counts, Server, TestBody, body, call, eventually};

async fn connect(address: SocketAddr) -> Established<Http2Connection> {
    let connector = Http2Connector::default();
    connector.connect(&ConnectTarget::new(address)).await.unwrap()
}

async fn get(
    connection: &Http2Connection,
    path: &str,
    data: &'static str,
) -> (Bytes, Option<http::HeaderMap>) {
    let response = connection.send(call(path, body(data))).await.map_err(|failure| failure.error).unwrap();
    let collected = response.into_body().collect().await.unwrap();
    let trailers = collected.trailers().cloned();
    (collected.to_bytes(), trailers)
}

/// A body fed by hand.
fn channel() -> (mpsc::UnboundedSender<Bytes>, Arc<AtomicUsize>, TestBody) {
    let (feed, chunks) = mpsc::unbounded_channel();
    let taken = Arc::new(AtomicUsize::new(0));
    (feed, taken.clone(), ChannelBody { chunks, taken }.boxed_unsync())
}

fn kind<T>(result: Result<T, SendFailure<TestBody>>) -> Option<SendErrorKind> {
    result.err().map(|failure| failure.error.kind())
}

#[tokio::test]
async fn unary_call_brings_back_body_and_trailers() {
    let server = Server::start().await;
    let Established { connection, .. } = connect(server.address).await;
    let (data, trailers) = get(&connection, "/echo", "hello").await;
    assert_eq!(data, "hello");
    assert_eq!(trailers.unwrap()["grpc-status"], "0");
    assert_eq!(get(&connection, "/echo", "").await.0, "", "a body without data");
    assert_eq!(connection.calls(), 0);
    assert_eq!(server.accepted(), 1);
}

#[tokio::test]
async fn request_trailers_are_sent() {
    let server = Server::start().await;
    let Established { connection, .. } = connect(server.address).await;
    let mut trailers = http::HeaderMap::new();
    trailers.insert("x-sum", "7".parse().unwrap());
    let frames = [http_body::Frame::data(Bytes::from_static(b"x")), http_body::Frame::trailers(trailers)];
    let stream = futures_util::stream::iter(frames.map(Ok));
    let request = call("/echo", StreamBody::new(stream).boxed_unsync());
    let collected = connection.send(request).await.unwrap().into_body().collect().await.unwrap();
    assert_eq!(collected.trailers().unwrap()["x-sum"], "7");
}

#[tokio::test]
async fn response_without_a_body_is_at_its_end_from_the_beginning() {
    let server = Server::start().await;
    let Established { connection, .. } = connect(server.address).await;
    let response = connection.send(call("/trailers-only", body(""))).await.unwrap();
    assert_eq!(response.headers()["grpc-status"], "5");
    assert!(response.body().is_end_stream());
    assert_eq!(response.body().size_hint().exact(), Some(0));
    assert_eq!(connection.calls(), 0, "nothing is left to wait for");

    let response = connection.send(call("/sized", body(""))).await.unwrap();
    assert!(!response.body().is_end_stream());
    assert_eq!(response.body().size_hint().exact(), Some(5));
}

#[tokio::test]
async fn ten_mebibytes_flow_both_ways() {
    let server = Server::start().await;
    let Established { connection, .. } = connect(server.address).await;
    let (feed, _, request) = channel();
    let data: Vec<Bytes> = (0..160_u8).map(|byte| Bytes::from(vec![byte; 64 << 10])).collect();
    data.iter().for_each(|chunk| feed.send(chunk.clone()).unwrap());
    drop(feed);
    let response = connection.send(call("/echo", request)).await.unwrap();
    let echoed = response.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(echoed.len(), 10 << 20);
    assert!(echoed.chunks(64 << 10).zip(&data).all(|(echoed, sent)| echoed == sent));

    let whole = Bytes::from(vec![1; 10 << 20]);
    let response = connection.send(call("/length", body(whole))).await.unwrap();
    assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), (10 << 20).to_string());
}

#[tokio::test]
async fn upload_waits_for_the_endpoint() {
    let server = Server::start().await;
    let Established { connection, .. } = connect(server.address).await;
    let (feed, taken, request) = channel();
    (0..1_000).for_each(|_| feed.send(Bytes::from(vec![0; 16 << 10])).unwrap());
    let pending = tokio::spawn(connection.send(call("/silence", request)));
    eventually("the call arrives", || Counts::of(&server.counts.calls) == 1).await;
    let mut last = 0;
    eventually("the upload stops", || std::mem::replace(&mut last, Counts::of(&taken)) == Counts::of(&taken))
        .await;
    // The endpoint's window is 64 KiB; one chunk is on hold and one on its way.
    assert!(Counts::of(&taken) <= 8, "{} chunks are in memory", Counts::of(&taken));
    pending.abort();
}

#[tokio::test]
async fn response_waits_for_its_reader() {
    let server = Server::start().await;
    let Established { connection, .. } = connect(server.address).await;
    let response = connection.send(call("/flood", body(""))).await.unwrap();
    let window = Http2Settings::default().stream_window as usize;
    eventually("the window is full", || Counts::of(&server.counts.sent) >= window).await;
    let sent = Counts::of(&server.counts.sent);
    assert!(sent <= window + (64 << 10), "{sent} bytes without a reader");
    let mut response = response.into_body();
    let mut read = 0;
    while read < window * 2 {
        read += response.frame().await.unwrap().unwrap().into_data().unwrap().len();
    }
    // A slow reader of one call does not stop another one.
    assert_eq!(get(&connection, "/echo", "hello").await.0, "hello");
}

#[tokio::test]
async fn request_goes_on_after_the_head_although_nobody_reads() {
    let server = Server::start().await;
    let Established { connection, .. } = connect(server.address).await;
    let (feed, taken, request) = channel();
    feed.send(Bytes::from_static(b"one")).unwrap();
    let response = connection.send(call("/echo", request)).await.unwrap();
    feed.send(Bytes::from_static(b"two")).unwrap();
    eventually("the second chunk is taken", || Counts::of(&taken) == 2).await;
    eventually("the second chunk arrives", || Counts::of(&server.counts.sent) == 6).await;
    let mut response = response.into_body();
    let first = response.frame().await.unwrap().unwrap().into_data().unwrap();
    assert_eq!(first, "one");
    drop(feed);
    let rest = response.collect().await.unwrap();
    assert_eq!(rest.trailers().unwrap()["grpc-status"], "0");
    assert_eq!(rest.to_bytes(), "two");
}

#[tokio::test]
async fn dropping_a_call_or_a_response_cancels_it() {
    let server = Server::start().await;
    let Established { connection, .. } = connect(server.address).await;
    let pending = tokio::spawn(connection.send(call("/silence", body("hello"))));
    eventually("the call arrives", || Counts::of(&server.counts.calls) == 1).await;
    pending.abort();
    eventually("the call is cancelled", || Counts::of(&server.counts.cancelled) == 1).await;

    let tasks = tokio::runtime::Handle::current().metrics().num_alive_tasks();
    let (feed, _, request) = channel();
    feed.send(Bytes::from_static(b"one")).unwrap();
    let response = connection.send(call("/echo", request)).await.unwrap();
    assert_eq!(connection.calls(), 1);
    drop(response);
    eventually("the response is cancelled", || Counts::of(&server.counts.cancelled) == 2).await;
    eventually("the pipe ends", || feed.is_closed()).await;
    eventually("no task is left", || tokio::runtime::Handle::current().metrics().num_alive_tasks() <= tasks)
        .await;
    assert_eq!(connection.calls(), 0);
    assert_eq!(get(&connection, "/echo", "hello").await.0, "hello", "the connection lives on");
}

#[tokio::test]
async fn early_response_stops_the_request_and_is_whole() {
    let server = Server::start().await;
    let Established { connection, .. } = connect(server.address).await;
    let (feed, _, request) = channel();
    (0..100).for_each(|_| feed.send(Bytes::from(vec![0; 64 << 10])).unwrap());
    let response = connection.send(call("/early", request)).await.unwrap();
    assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "enough");
    eventually("the request's body is let go of", || feed.is_closed()).await;
}

#[tokio::test]
async fn resets_are_told_apart() {
    let server = Server::start().await;
    let Established { connection, .. } = connect(server.address).await;
    let rows = [("/refuse", SendErrorKind::Refused, Some(7)), ("/reset", SendErrorKind::Reset(2), Some(2))];
    for (path, expected, code) in rows {
        let failure = connection.send(call(path, body("hello"))).await.unwrap_err();
        assert_eq!((failure.error.kind(), failure.error.h2_code()), (expected, code), "{path}");
        // RT-45
        assert_eq!(failure.body.is_some(), failure.error.kind() == SendErrorKind::Refused);
    }
}

#[tokio::test]
async fn failing_request_body_cancels_the_call() {
    let server = Server::start().await;
    let Established { connection, .. } = connect(server.address).await;
    let frames =
        [Ok(http_body::Frame::data(Bytes::from_static(b"x"))), Err(std::io::Error::other("no more"))];
    let request = call("/silence", StreamBody::new(futures_util::stream::iter(frames)).boxed_unsync());
    let failure = connection.send(request).await.unwrap_err();
    assert_eq!(failure.error.kind(), SendErrorKind::Body);
    assert_eq!(failure.error.cause().to_string(), "no more");
    assert_eq!(get(&connection, "/echo", "hello").await.0, "hello");
}

#[tokio::test]
async fn lost_connection_fails_running_calls_and_gives_new_ones_back() {
    let server = Server::start().await;
    let Established { connection, closed } = connect(server.address).await;
    let running = tokio::spawn(connection.send(call("/silence", body("hello"))));
    let response = connection.send(call("/head", body("hello"))).await.unwrap();
    eventually("the calls arrive", || Counts::of(&server.counts.calls) == 2).await;
    server.hang_up();
    closed.await;
    assert!(!Connection::is_open(&connection));
    assert_eq!(kind(running.await.unwrap()), Some(SendErrorKind::Closed));
    assert_eq!(response.into_body().collect().await.unwrap_err().h2_code(), None);
    let failure = connection.send(call("/echo", body("again"))).await.unwrap_err();
    assert_eq!(failure.error.kind(), SendErrorKind::NotSent);
    let unread = *failure.body.unwrap();
    assert!(unread.read.is_empty());
    assert_eq!(unread.rest.collect().await.unwrap().to_bytes(), "again");
}

#[tokio::test]
async fn goaway_takes_the_connection_out_and_lets_calls_finish() {
    let server = Server::start().await;
    let Established { connection, closed } = connect(server.address).await;
    let (feed, _, request) = channel();
    feed.send(Bytes::from_static(b"one")).unwrap();
    let response = connection.send(call("/echo", request)).await.unwrap();
    server.drain();
    let reason = closed.await;
    assert_eq!(reason, DisconnectReason::GoAway(0));
    assert_eq!(reason.to_string(), "GOAWAY NO_ERROR");
    assert!(!Connection::is_open(&connection));
    assert_eq!(kind(connection.send(call("/echo", body(""))).await), Some(SendErrorKind::NotSent));
    feed.send(Bytes::from_static(b"two")).unwrap();
    drop(feed);
    let collected = response.into_body().collect().await.unwrap();
    assert_eq!(collected.trailers().unwrap()["grpc-status"], "0");
    assert_eq!(collected.to_bytes(), "onetwo");
    eventually("the connection is closed", || server.open() == 0).await;
}

#[tokio::test]
async fn calls_beyond_the_goaway_are_refused() {
    let address = raw(|mut io| async move {
        io.write_all(SETTINGS).await.unwrap();
        let mut received = vec![0; 1 << 16];
        let mut seen = 0;
        // The preface and SETTINGS are less than this, with HEADERS and DATA it is more.
        while seen < 24 + 150 {
            seen += io.read(&mut received).await.unwrap();
        }
        // GOAWAY of 8 bytes on stream 0: last stream 0, ENHANCE_YOUR_CALM.
        io.write_all(&[0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 11]).await.unwrap();
        while io.read(&mut received).await.is_ok_and(|count| count > 0) {}
    })
    .await;
    let Established { connection, closed } = connect(address).await;
    let failure = connection.send(call("/echo", body(vec![0; 200]))).await.unwrap_err();
    assert_eq!(failure.error.kind(), SendErrorKind::Refused);
    let unread = failure.body.unwrap();
    assert_eq!(unread.read.len(), 200, "it can be sent again");
    assert!(unread.rest.is_end_stream());
    assert_eq!(closed.await.to_string(), "GOAWAY ENHANCE_YOUR_CALM");
}

#[tokio::test]
async fn calls_wait_while_the_endpoint_takes_no_more() {
    let server = Server::with_limit(Some(1)).await;
    let Established { connection, .. } = connect(server.address).await;
    assert_eq!(connection.max_concurrent_streams(), 1);
    let (feed, _, request) = channel();
    let first = connection.send(call("/echo", request)).await.unwrap();
    let second = tokio::spawn({
        let connection = connection.clone();
        async move { get(&connection, "/echo", "second").await.0 }
    });
    drop(feed);
    first.into_body().collect().await.unwrap();
    assert_eq!(second.await.unwrap(), "second");
}

#[tokio::test]
async fn connection_ends_with_its_last_handle_and_call() {
    let server = Server::start().await;
    let Established { connection, closed } = connect(server.address).await;
    let (feed, _, request) = channel();
    let response = connection.send(call("/echo", request)).await.unwrap();
    drop(connection);
    let mut response = response.into_body();
    for chunk in ["one", "two"] {
        feed.send(Bytes::from_static(chunk.as_bytes())).unwrap();
        assert_eq!(response.frame().await.unwrap().unwrap().into_data().unwrap(), chunk, "the call goes on");
    }
    drop(feed);
    response.collect().await.unwrap();
    eventually("the connection is closed", || server.open() == 0).await;
    assert_eq!(closed.await, DisconnectReason::Shutdown);
}

#[tokio::test]
async fn failure_to_connect_names_address_and_cause() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let refusing = listener.local_addr().unwrap();
    drop(listener);
    let http1 = raw(|mut io| async move {
        let _ = io.write_all(b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n").await;
        let _ = io.read(&mut [0; 1024]).await;
    })
    .await;
    let closing = raw(|mut io| async move {
        let _ = io.read(&mut [0; 1024]).await;
    })
    .await;
    let rows = [
        (refusing, "connection refused (os error 111)"),
        (http1, "not an HTTP/2 endpoint: "),
        (closing, "closed before its HTTP/2 settings arrived"),
    ];
    for (address, cause) in rows {
        let connector = Http2Connector::default();
        let error = connector.connect(&ConnectTarget::new(address)).await.unwrap_err();
        assert!(error.to_string().starts_with(&format!("connect to {address}: {cause}")), "{error}");
    }
}

/// Accepting alone does not make a connection: something between may do that.
#[tokio::test(start_paused = true)]
async fn endpoint_without_settings_is_not_connected() {
    let (dial, _silent) = Pipe::new();
    let connector = Http2Connector::new(dial, Http2Settings::default());
    let target = ConnectTarget::new("10.0.0.1:1".parse().unwrap());
    let attempt = connector.connect(&target);
    assert!(tokio::time::timeout(Duration::from_secs(3_600), attempt).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn silent_endpoint_is_given_up_by_keepalive() {
    let (dial, mut endpoint) = Pipe::new();
    let keepalive = Keepalive { scope: KeepaliveScope::All, ..Keepalive::new(Duration::from_secs(30)) };
    let settings = Http2Settings { keepalive: Some(keepalive), ..Http2Settings::default() };
    let connector = Http2Connector::new(dial, settings);
    endpoint.write_all(SETTINGS).await.unwrap();
    let address = "10.0.0.1:1".parse().unwrap();
    let Established { connection, closed } = connector.connect(&ConnectTarget::new(address)).await.unwrap();
    let begun = tokio::time::Instant::now();
    let running = tokio::spawn(connection.send(call("/silence", body("hello"))));
    assert_eq!(closed.await, DisconnectReason::TimedOut);
    let silence = begun.elapsed().as_secs();
    // What arrived during the handshake counts in the first interval.
    assert!((50..=81).contains(&silence), "{silence} s");
    assert_eq!(kind(running.await.unwrap()), Some(SendErrorKind::Closed));
}

#[tokio::test(start_paused = true)]
async fn answered_pings_keep_the_connection() {
    let (dial, endpoint) = Pipe::new();
    let keepalive = Keepalive { scope: KeepaliveScope::All, ..Keepalive::new(Duration::from_secs(30)) };
    let settings = Http2Settings { keepalive: Some(keepalive), ..Http2Settings::default() };
    let connector = Http2Connector::new(dial, settings);
    let serving = tokio::spawn(async move {
        let mut server = h2::server::handshake(endpoint).await.unwrap();
        let accepted = server.accept().await;
        accepted.is_none()
    });
    let address = "10.0.0.1:1".parse().unwrap();
    let Established { connection, closed } = connector.connect(&ConnectTarget::new(address)).await.unwrap();
    assert!(tokio::time::timeout(Duration::from_secs(600), closed).await.is_err());
    assert!(Connection::is_open(&connection));
    drop(connection);
    assert!(serving.await.unwrap(), "closed without a call");
}

/// Dials into memory; the other end is the test's.
#[derive(Debug)]
struct Pipe(std::sync::Mutex<Option<DuplexStream>>);

impl Pipe {
    fn new() -> (Self, DuplexStream) {
        let (ours, theirs) = tokio::io::duplex(1 << 16);
        (Self(std::sync::Mutex::new(Some(ours))), theirs)
    }
}

impl Dial for Pipe {
    type Io = DuplexStream;

    async fn dial(&self, _: &ConnectTarget) -> std::io::Result<DuplexStream> {
        let io = self.0.lock().unwrap().take();
        io.ok_or_else(|| std::io::ErrorKind::ConnectionRefused.into())
    }
}

/// A peer that speaks bytes.
async fn raw<F, Fut>(peer: F) -> SocketAddr
where
    F: FnOnce(tokio::net::TcpStream) -> Fut + Send + 'static,
    Fut: Future<Output = ()> + Send,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (io, _) = listener.accept().await.unwrap();
        peer(io).await;
    });
    address
}

/// An empty SETTINGS frame.
const SETTINGS: &[u8] = &[0, 0, 0, 4, 0, 0, 0, 0, 0];
