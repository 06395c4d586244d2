//! `MeshServer` over real sockets: an axum router, and clients that write HTTP by hand.
#![expect(clippy::unwrap_used, reason = "tests")]

mod drains;
mod malformed;
mod observed;
mod replies;
mod requests;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::Request;
use axum::routing::{any, post};
use axum::{Extension, Router};
use bytes::Bytes;
use mesh_core::config::{FilterInstance, ServerChain, ServerConfig, ServerRoutes};
use mesh_hyper::{FixedServer, MeshServer, Peer, ServerHandle, ServerSettings};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// A server with an axum router. Dropping it ends it.
struct Running {
    address: SocketAddr,
    handle: ServerHandle,
    task: JoinHandle<()>,
}

impl Running {
    async fn start(config: &FixedServer, settings: ServerSettings, router: Router) -> Self {
        let server = MeshServer::builder().settings(settings).fixed(config, "127.0.0.1:0").await.unwrap();
        let (address, handle) = (server.local_addr(), server.handle());
        Self { address, handle, task: tokio::spawn(server.serve(router)) }
    }

    /// A server that takes every call that these filters let pass.
    async fn filtering(filters: impl Into<Arc<[FilterInstance]>>) -> Self {
        let chain = ServerChain::new(ServerRoutes::all()).with_filters(filters);
        let config = FixedServer::new(ServerConfig::of_chain(chain).unwrap());
        Self::start(&config, ServerSettings::default(), router()).await
    }

    /// Sends these bytes, and reads until the server closes the connection.
    async fn exchange(&self, bytes: impl AsRef<[u8]>) -> String {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(bytes.as_ref()).await.unwrap();
        read_to_end(stream).await
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn read_to_end(mut stream: TcpStream) -> String {
    let mut answer = Vec::new();
    let read = timeout(LIMIT, stream.read_to_end(&mut answer)).await;
    let answer = String::from_utf8_lossy(&answer).into_owned();
    // a reset after the answer is an end as well
    _ = read.unwrap_or_else(|_| panic!("the server keeps the connection after {answer:?}"));
    answer
}

/// Says what the handler has seen, and adds up the bytes of a body.
fn router() -> Router {
    let seen = async |Extension(peer): Extension<Arc<Peer>>, request: Request| {
        let authority = request.uri().authority().map(ToString::to_string).unwrap_or_default();
        let (path, version) = (request.uri().path().to_owned(), request.version());
        format!("{version:?} {authority} {path} {} {}", peer.is_tls(), request.headers().contains_key("host"))
    };
    let count = async |body: Bytes| body.len().to_string();
    Router::new().route("/count", post(count)).fallback(any(seen))
}

/// No test waits for longer.
const LIMIT: Duration = Duration::from_secs(60);
