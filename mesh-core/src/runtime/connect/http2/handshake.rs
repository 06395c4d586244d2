//! From a stream of bytes to a connection that takes calls.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use crate::runtime::connect::{DisconnectReason, Established};

use super::connection::Http2Connection;
use super::driver::{Driver, Shared};
use super::io::Observed;
use super::settings::Http2Settings;

/// Why a peer that accepted is not an HTTP/2 endpoint.
#[derive(Debug, thiserror::Error)]
pub(super) enum HandshakeError {
    #[error("closed before its HTTP/2 settings arrived")]
    Closed,
    #[error("not an HTTP/2 endpoint: {0}")]
    Protocol(#[from] h2::Error),
}

pub(super) async fn handshake<I>(
    io: I,
    settings: &Http2Settings,
) -> Result<Established<Http2Connection>, HandshakeError>
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let shared = Arc::new(Shared::default());
    let io = Observed::new(io, shared.clone());
    let (sender, mut connection) = builder(settings).handshake::<_, Bytes>(io).await?;
    poll_fn(|cx| match Pin::new(&mut connection).poll(cx) {
        Poll::Ready(Ok(())) => Poll::Ready(Err(HandshakeError::Closed)),
        Poll::Ready(Err(error)) if error.is_io() => Poll::Ready(Err(HandshakeError::Closed)),
        Poll::Ready(Err(error)) => Poll::Ready(Err(error.into())),
        Poll::Pending if connection.max_concurrent_send_streams() == NO_SETTINGS => Poll::Pending,
        Poll::Pending => Poll::Ready(Ok(())),
    })
    .await?;

    let (released, on_released) = oneshot::channel();
    let (report, on_report) = oneshot::channel();
    let runtime = Handle::current();
    let driver =
        Driver::new(connection, sender.clone(), shared.clone(), on_released, report, settings.keepalive);
    runtime.spawn(driver);
    Ok(Established {
        connection: Http2Connection::new(sender, shared, released, runtime),
        closed: Box::pin(async move { on_report.await.unwrap_or(DisconnectReason::Unknown) }),
    })
}

fn builder(settings: &Http2Settings) -> h2::client::Builder {
    let mut builder = h2::client::Builder::new();
    builder
        .enable_push(false)
        .initial_window_size(settings.stream_window.min(MAX_WINDOW))
        .initial_connection_window_size(settings.connection_window.min(MAX_WINDOW))
        .max_send_buffer_size(settings.max_send_buffer as usize)
        .max_header_list_size(settings.max_header_list)
        .initial_max_send_streams(NO_SETTINGS);
    builder
}

/// The limit of concurrent streams until the endpoint's SETTINGS arrive. They carry at most `u32::MAX`, and h2 takes
/// `usize::MAX` if they carry none.
const NO_SETTINGS: usize = usize::MAX - 1;

/// RFC 9113 section 6.9.1.
const MAX_WINDOW: u32 = (1 << 31) - 1;
