//! Connections over real sockets and pipes, against endpoints on h2 and endpoints of hand-made frames.

mod bodies;
mod cancelled;
mod ends;
mod frames;
mod handshake;
mod lifetime;
mod limits;
mod peer;
mod places;
mod silence;
mod threads;
mod uploads;

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
use tokio::task::JoinHandle;

use super::{
    Connect, ConnectTarget, Connection, Dial, DisconnectReason, Established, Http2Body, Http2Connection,
    Http2Connector, Http2Settings, Keepalive, KeepaliveScope, Probe, Reserve, SendErrorKind, SendFailure,
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
