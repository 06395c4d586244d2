//! An endpoint: hyper's server with a handler of the test's.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpListener;
use tokio::task::AbortHandle;

pub(crate) type Reply = Response<BoxBody<Bytes, Infallible>>;

/// The version that an endpoint speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Version {
    #[expect(dead_code, reason = "for the versions that clients are to speak")]
    Http1,
    Http2,
}

/// An endpoint, until it is dropped.
pub(crate) struct Endpoint {
    pub(crate) address: SocketAddr,
    pub(crate) seen: Arc<Seen>,
    task: AbortHandle,
}

/// What an endpoint has seen.
#[derive(Default)]
pub(crate) struct Seen {
    pub(crate) connections: AtomicUsize,
    pub(crate) requests: AtomicUsize,
    pub(crate) heads: Mutex<Vec<http::request::Parts>>,
}

impl Endpoint {
    /// Answers each request by `handler`, which gets the number of the request from 0.
    pub(crate) async fn start<F, Fut>(version: Version, handler: F) -> Self
    where
        F: Fn(usize, Request<Incoming>) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future<Output = Reply> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Seen::default());
        let counts = seen.clone();
        let task = tokio::spawn(async move {
            while let Ok((io, _)) = listener.accept().await {
                io.set_nodelay(true).unwrap();
                counts.connections.fetch_add(1, Ordering::SeqCst);
                let (counts, handler) = (counts.clone(), handler.clone());
                let service = service_fn(move |request: Request<Incoming>| {
                    let number = counts.requests.fetch_add(1, Ordering::SeqCst);
                    let (head, body) = request.into_parts();
                    counts.heads.lock().unwrap().push(head.clone());
                    let reply = handler(number, Request::from_parts(head, body));
                    async move { Ok::<_, Infallible>(reply.await) }
                });
                let io = TokioIo::new(io);
                tokio::spawn(async move {
                    // a client that goes away is no failure of the test
                    match version {
                        Version::Http1 => {
                            _ = http1::Builder::new().serve_connection(io, service).with_upgrades().await;
                        }
                        Version::Http2 => {
                            let server = http2::Builder::new(TokioExecutor::new());
                            _ = server.serve_connection(io, service).await;
                        }
                    }
                });
            }
        });
        Self { address, seen, task: task.abort_handle() }
    }

    /// Answers every request with what it has seen: method, target and body.
    pub(crate) async fn echo(version: Version) -> Self {
        Self::start(version, async |_, request: Request<Incoming>| {
            let (head, body) = request.into_parts();
            let body = String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap();
            reply(200, format!("{} {} {body}", head.method, head.uri))
        })
        .await
    }

    pub(crate) fn requests(&self) -> usize {
        self.seen.requests.load(Ordering::SeqCst)
    }

    pub(crate) fn connections(&self) -> usize {
        self.seen.connections.load(Ordering::SeqCst)
    }

    /// The head of the last request.
    pub(crate) fn last(&self) -> http::request::Parts {
        self.seen.heads.lock().unwrap().last().unwrap().clone()
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        self.task.abort();
    }
}

pub(crate) fn reply(status: u16, body: impl Into<Bytes>) -> Reply {
    Response::builder().status(status).body(Full::new(body.into()).boxed()).unwrap()
}
