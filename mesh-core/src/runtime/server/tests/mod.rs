//! Servers on loopback whose application says how its caller came.

mod first_bytes;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::JoinHandle;
use tower_service::Service;

use crate::config::ServerConfig;
use crate::filter::LocalReply;
use crate::peer::Peer;
use crate::policy::matcher::HeaderView;
use crate::policy::outlier::FailureKind;
use crate::runtime::testing::TestBody;
use crate::runtime::{CallStatus, MeshError, Protocol, Stamp};

use super::{FixedServer, Server, ServerBuilder, ServerHandle, ServerSettings};

/// HTTP without anything on top.
#[derive(Debug)]
struct Plain;

impl Protocol for Plain {
    type Body = TestBody;

    fn view(headers: &HeaderMap) -> HeaderView<'_> {
        HeaderView::Grpc(headers)
    }

    fn classify_head(_: StatusCode, _: &HeaderMap) -> Option<CallStatus> {
        None
    }

    fn failure(_: StatusCode, _: &HeaderMap) -> Option<FailureKind> {
        None
    }

    fn code(_: &MeshError) -> u32 {
        0
    }

    fn local_reply(reply: LocalReply) -> Response<()> {
        let mut response = Response::new(());
        response.headers_mut().insert("x-reply", reply.message.parse().unwrap());
        response
    }

    fn stamp(_: &mut HeaderMap, _: Stamp) {}
}

/// Answers with `tls` or `plaintext`.
#[derive(Clone)]
struct HowItCame;

impl Service<Request<Incoming>> for HowItCame {
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = std::future::Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Incoming>) -> Self::Future {
        let peer: &Arc<Peer> = request.extensions().get().unwrap();
        let answer = if peer.is_tls() { "tls" } else { "plaintext" };
        std::future::ready(Ok(Response::new(Full::new(answer.into()))))
    }
}

/// A running server; dropping it ends it.
struct Running {
    address: SocketAddr,
    handle: ServerHandle,
    task: JoinHandle<()>,
}

impl Running {
    async fn start(config: ServerConfig, settings: ServerSettings) -> Self {
        Self::with(Server::builder().settings(settings), config).await
    }

    async fn with(builder: ServerBuilder, config: ServerConfig) -> Self {
        let server = builder.fixed(&FixedServer::new(config), "127.0.0.1:0").await.unwrap();
        let handle = server.handle();
        let task = tokio::spawn(server.serve::<Plain, _, _>(HowItCame));
        Self { address: handle.local_addr(), handle, task }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// One call on this stream; what the application answered.
async fn call<I: AsyncRead + AsyncWrite + Unpin + Send + 'static>(io: I) -> Result<String, h2::Error> {
    let (mut send, connection) = h2::client::handshake(io).await?;
    tokio::spawn(connection);
    let request = Request::get("http://a/b").body(()).unwrap();
    let mut body = send.send_request(request, true)?.0.await?.into_body();
    let mut answer = Vec::new();
    while let Some(part) = body.data().await {
        answer.extend(part?);
    }
    Ok(String::from_utf8(answer).unwrap())
}
