//! Endpoints for tests: real HTTP/2 servers on loopback, and what drives calls to them.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use h2::server::{Connection as ServerConnection, SendResponse};
use h2::{Reason, RecvStream, SendStream};
use http::{HeaderMap, Request, Response};
use http_body::Body;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::AbortHandle;

pub(crate) type TestBody = UnsyncBoxBody<Bytes, io::Error>;

pub(crate) fn body(data: impl Into<Bytes>) -> TestBody {
    Full::new(data.into()).map_err(|never| match never {}).boxed_unsync()
}

pub(crate) fn call(path: &str, body: TestBody) -> Request<TestBody> {
    Request::post(format!("http://test{path}")).body(body).unwrap()
}

/// Polls a condition until it holds.
pub(crate) async fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    for _ in 0..2_000 {
        if condition() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("never: {what}");
}

/// An endpoint, until it is dropped.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) counts: Arc<Counts>,
    orders: watch::Sender<Order>,
    task: AbortHandle,
}

/// What has happened to an endpoint.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) accepted: AtomicUsize,
    pub(crate) open: AtomicUsize,
    pub(crate) calls: AtomicUsize,
    /// Calls that ended by the client's reset with CANCEL.
    pub(crate) cancelled: AtomicUsize,
    /// Bytes of response bodies that found room.
    pub(crate) sent: AtomicUsize,
}

impl Counts {
    pub(crate) fn of(count: &AtomicUsize) -> usize {
        count.load(Ordering::SeqCst)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    Serve,
    /// GOAWAY, then finish what runs. The number makes each order a new one.
    Drain(u32),
    /// Drop all connections.
    Hang(u32),
}

impl Server {
    pub(crate) async fn start() -> Self {
        Self::with_limit(None).await
    }

    /// An endpoint that takes so many calls of a connection at once.
    pub(crate) async fn with_limit(max_streams: Option<u32>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let counts = Arc::new(Counts::default());
        let orders = watch::Sender::new(Order::Serve);
        let (count, order) = (counts.clone(), orders.clone());
        let task = tokio::spawn(async move {
            while let Ok((io, _)) = listener.accept().await {
                count.accepted.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(serve(io, count.clone(), order.subscribe(), max_streams));
            }
        });
        Self { address, counts, orders, task: task.abort_handle() }
    }

    /// Sends GOAWAY on all connections and lets running calls finish. New connections are served.
    pub(crate) fn drain(&self) {
        self.orders.send_modify(|order| *order = Order::Drain(order.next()));
    }

    /// Closes all connections without a word. New connections are served.
    pub(crate) fn hang_up(&self) {
        self.orders.send_modify(|order| *order = Order::Hang(order.next()));
    }

    pub(crate) fn accepted(&self) -> usize {
        Counts::of(&self.counts.accepted)
    }

    pub(crate) fn open(&self) -> usize {
        Counts::of(&self.counts.open)
    }
}

impl Order {
    fn next(self) -> u32 {
        match self {
            Self::Serve => 0,
            Self::Drain(number) | Self::Hang(number) => number + 1,
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
        self.hang_up();
    }
}

async fn serve(
    io: TcpStream,
    counts: Arc<Counts>,
    mut orders: watch::Receiver<Order>,
    max_streams: Option<u32>,
) {
    counts.open.fetch_add(1, Ordering::SeqCst);
    io.set_nodelay(true).unwrap();
    let mut builder = h2::server::Builder::new();
    if let Some(max) = max_streams {
        builder.max_concurrent_streams(max);
    }
    if let Ok(mut connection) = builder.handshake(io).await {
        accept(&mut connection, &counts, &mut orders).await;
    }
    counts.open.fetch_sub(1, Ordering::SeqCst);
}

async fn accept<I: AsyncRead + AsyncWrite + Unpin>(
    connection: &mut ServerConnection<I, Bytes>,
    counts: &Arc<Counts>,
    orders: &mut watch::Receiver<Order>,
) {
    loop {
        tokio::select! {
            accepted = connection.accept() => match accepted {
                Some(Ok((request, respond))) => {
                    counts.calls.fetch_add(1, Ordering::SeqCst);
                    tokio::spawn(answer(request, respond, counts.clone()));
                }
                Some(Err(_)) | None => return,
            },
            _ = orders.changed() => match *orders.borrow_and_update() {
                Order::Serve => {}
                Order::Drain(_) => connection.graceful_shutdown(),
                Order::Hang(_) => return,
            },
        }
    }
}

/// Answers by the call's path.
async fn answer(request: Request<RecvStream>, mut respond: SendResponse<Bytes>, counts: Arc<Counts>) {
    let path = request.uri().path().to_owned();
    let mut upload = request.into_body();
    let head = Response::new(());
    match path.as_str() {
        "/echo" => {
            let Ok(stream) = respond.send_response(head, false) else { return };
            echo(upload, stream, &counts).await;
        }
        "/length" => {
            let mut length = 0;
            while let Some(Ok(data)) = upload.data().await {
                length += data.len();
                let _ = upload.flow_control().release_capacity(data.len());
            }
            let Ok(mut stream) = respond.send_response(head, false) else { return };
            let _ = stream.send_data(Bytes::from(length.to_string()), true);
        }
        "/sized" => {
            let head = Response::builder().header("content-length", "5").body(()).unwrap();
            let Ok(mut stream) = respond.send_response(head, false) else { return };
            let _ = stream.send_data(Bytes::from_static(b"hello"), true);
        }
        "/trailers-only" => {
            let head = Response::builder().header("grpc-status", "5").body(()).unwrap();
            let _ = respond.send_response(head, true);
        }
        "/refuse" => respond.send_reset(Reason::REFUSED_STREAM),
        "/reset" => respond.send_reset(Reason::INTERNAL_ERROR),
        // Never answers, and never makes room.
        "/silence" => watch_reset(std::future::poll_fn(|cx| respond.poll_reset(cx)), &counts).await,
        "/head" => {
            let Ok(mut stream) = respond.send_response(head, false) else { return };
            watch_reset(std::future::poll_fn(|cx| stream.poll_reset(cx)), &counts).await;
        }
        "/early" => {
            let Ok(mut stream) = respond.send_response(head, false) else { return };
            // Dropping the rest of the request unread makes h2 reset it with NO_ERROR.
            let _ = stream.send_data(Bytes::from_static(b"enough"), true);
        }
        "/flood" => {
            let Ok(mut stream) = respond.send_response(head, false) else { return };
            while send(&mut stream, Bytes::from(vec![7; 16 << 10]), &counts).await {}
        }
        other => panic!("no such path: {other}"),
    }
}

async fn watch_reset(reset: impl Future<Output = Result<Reason, h2::Error>>, counts: &Counts) {
    if reset.await.is_ok_and(|reason| reason == Reason::CANCEL) {
        counts.cancelled.fetch_add(1, Ordering::SeqCst);
    }
}

async fn echo(mut upload: RecvStream, mut stream: SendStream<Bytes>, counts: &Counts) {
    loop {
        let data = tokio::select! {
            data = upload.data() => data,
            reset = std::future::poll_fn(|cx| stream.poll_reset(cx)) => {
                return watch_reset(std::future::ready(reset), counts).await;
            }
        };
        match data {
            Some(Ok(data)) => {
                let _ = upload.flow_control().release_capacity(data.len());
                if !send(&mut stream, data, counts).await {
                    return;
                }
            }
            Some(Err(error)) => {
                if error.reason() == Some(Reason::CANCEL) {
                    counts.cancelled.fetch_add(1, Ordering::SeqCst);
                }
                return;
            }
            None => break,
        }
    }
    let mut trailers = upload.trailers().await.ok().flatten().unwrap_or_else(HeaderMap::new);
    trailers.insert("grpc-status", "0".parse().unwrap());
    let _ = stream.send_trailers(trailers);
}

/// Sends when there is room. `false`: the client wants no more.
async fn send(stream: &mut SendStream<Bytes>, mut data: Bytes, counts: &Counts) -> bool {
    while !data.is_empty() {
        stream.reserve_capacity(data.len());
        let Some(Ok(room)) = std::future::poll_fn(|cx| stream.poll_capacity(cx)).await else { return false };
        let part = data.split_to(room.min(data.len()));
        counts.sent.fetch_add(part.len(), Ordering::SeqCst);
        if stream.send_data(part, false).is_err() {
            return false;
        }
    }
    true
}

/// A body whose chunks come one by one through a channel; counts how many have been taken.
pub(crate) struct ChannelBody {
    pub(crate) chunks: tokio::sync::mpsc::UnboundedReceiver<Bytes>,
    pub(crate) taken: Arc<AtomicUsize>,
}

impl Body for ChannelBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<http_body::Frame<Bytes>, Self::Error>>> {
        self.chunks.poll_recv(cx).map(|chunk| {
            chunk.map(|chunk| {
                self.taken.fetch_add(1, Ordering::SeqCst);
                Ok(http_body::Frame::data(chunk))
            })
        })
    }
}
