//! Endpoints that answer by hand, frame by frame.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use h2::RecvStream;
use h2::server::SendResponse;
use http::{HeaderMap, Request, Response};
use tokio::net::TcpListener;

/// Answers each request with `answer`; returns where.
pub(crate) async fn serve<F>(answer: F) -> SocketAddr
where
    F: Fn(Request<RecvStream>, SendResponse<Bytes>) + Send + Sync + 'static,
{
    serve_by(h2::server::Builder::new(), answer).await
}

/// As [`serve`], of so many requests at once on each connection.
pub(crate) async fn serve_at_once<F>(most: u32, answer: F) -> SocketAddr
where
    F: Fn(Request<RecvStream>, SendResponse<Bytes>) + Send + Sync + 'static,
{
    let mut settings = h2::server::Builder::new();
    settings.max_concurrent_streams(most);
    serve_by(settings, answer).await
}

async fn serve_by<F>(settings: h2::server::Builder, answer: F) -> SocketAddr
where
    F: Fn(Request<RecvStream>, SendResponse<Bytes>) + Send + Sync + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let answer = Arc::new(answer);
    tokio::spawn(async move {
        while let Ok((io, _)) = listener.accept().await {
            let (answer, settings) = (answer.clone(), settings.clone());
            tokio::spawn(async move {
                let Ok(mut connection) = settings.handshake(io).await else { return };
                while let Some(Ok((request, respond))) = connection.accept().await {
                    answer(request, respond);
                }
            });
        }
    });
    address
}

/// Takes one call on each connection and says so (GOAWAY).
pub(crate) async fn serve_once_per_connection() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((io, _)) = listener.accept().await {
            tokio::spawn(async move {
                let Ok(mut connection) = h2::server::handshake(io).await else { return };
                while let Some(Ok((_, respond))) = connection.accept().await {
                    succeed(respond);
                    connection.graceful_shutdown();
                }
            });
        }
    });
    address
}

/// Answers with an empty message once the whole request is there.
pub(crate) fn echo(request: Request<RecvStream>, respond: SendResponse<Bytes>) {
    tokio::spawn(async move {
        let mut body = request.into_body();
        let mut length = 0;
        while let Some(Ok(data)) = body.data().await {
            length += data.len();
        }
        // a message's five bytes, and "you" as a field
        assert_eq!(length, 10);
        succeed(respond);
    });
}

/// An empty message and OK.
pub(crate) fn succeed(respond: SendResponse<Bytes>) {
    try_succeed(respond).unwrap();
}

/// The same, to a client that may have gone.
pub(crate) fn try_succeed(mut respond: SendResponse<Bytes>) -> Result<(), h2::Error> {
    let head = Response::builder().header("content-type", "application/grpc").body(()).unwrap();
    let mut stream = respond.send_response(head, false)?;
    stream.send_data(Bytes::from_static(&[0, 0, 0, 0, 0]), false)?;
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", "0".parse().unwrap());
    stream.send_trailers(trailers)
}

/// Trailers-Only with UNAVAILABLE, and with this pushback.
pub(crate) fn push_back(mut respond: SendResponse<Bytes>, pushback: &str) {
    let head = Response::builder()
        .header("content-type", "application/grpc")
        .header("grpc-status", "14")
        .header("grpc-retry-pushback-ms", pushback);
    respond.send_response(head.body(()).unwrap(), true).unwrap();
}
