//! Makes a connection from a byte stream.

use std::future::{Future, poll_fn};
use std::num::NonZeroU32;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::oneshot;

use crate::config::ConnectionSettings;
use crate::runtime::connect::{DisconnectReason, Established};
use crate::runtime::tls::PeerWatch;

use super::connection::Http2Connection;
use super::driver::Driver;
use super::io::Observed;
use super::settings::Http2Settings;
use super::shared::{Foreign, Shared};
use super::task::ConnectionTask;

/// Why the HTTP/2 handshake failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum HandshakeError {
    #[error("it speaks TLS, and the connection is plaintext")]
    Tls,
    #[error("it speaks HTTP/1, not HTTP/2")]
    Http1,
    #[error("closed before its HTTP/2 settings arrived, as an endpoint may do that expects TLS")]
    Closed,
    #[error("not an HTTP/2 endpoint: {0}")]
    Protocol(#[from] h2::Error),
}

pub(super) async fn handshake<I>(
    io: I,
    settings: &Http2Settings,
    cluster: &ConnectionSettings,
    peer: Option<PeerWatch>,
) -> Result<Established<Http2Connection>, HandshakeError>
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let max_streams = cluster.max_concurrent_streams.map_or(u32::MAX, NonZeroU32::get);
    let shared = Arc::new(Shared::new(max_streams, settings).with_calls(cluster.max_requests));
    let io = Observed::new(io, shared.clone(), settings);
    let (sender, mut connection) = builder(settings).handshake::<_, Bytes>(io).await?;
    let failure = |error: Option<h2::Error>| match (shared.foreign(), error) {
        (Some(Foreign::Tls), _) => HandshakeError::Tls,
        (Some(Foreign::Http1), _) => HandshakeError::Http1,
        (None, Some(error)) if !error.is_io() => error.into(),
        (None, _) => HandshakeError::Closed,
    };
    poll_fn(|cx| match Pin::new(&mut connection).poll(cx) {
        Poll::Ready(result) => Poll::Ready(Err(failure(result.err()))),
        Poll::Pending if shared.foreign().is_some() => Poll::Ready(Err(failure(None))),
        Poll::Pending if connection.max_concurrent_send_streams() == NO_SETTINGS => Poll::Pending,
        Poll::Pending => Poll::Ready(Ok(())),
    })
    .await?;

    let (released, on_released) = oneshot::channel();
    let (report, on_report) = oneshot::channel();
    let idle_timeout = cluster.idle_timeout;
    let mut driver = Driver::new(connection, shared.clone(), on_released, report, settings, idle_timeout);
    driver.watch_peer(peer);
    tokio::spawn(ConnectionTask::new(shared.wakes.clone(), driver));
    Ok(Established {
        connection: Http2Connection::new(sender, shared, *settings, released),
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
        .max_header_list_size(settings.decoded_header_list())
        .max_concurrent_reset_streams(settings.max_cancelled_streams as usize)
        .reset_stream_duration(settings.cancelled_stream_memory)
        // These two limits would end the connection because of one stream: see `incoming` for the first; for the second h2
        // counts every malformed or late response over the connection's life.
        .data_frame_budget(usize::MAX)
        .max_local_error_reset_streams(None)
        .initial_max_send_streams(NO_SETTINGS);
    builder
}

/// The limit of concurrent streams until the endpoint's SETTINGS arrive. They carry at most `u32::MAX`, and h2 takes
/// `usize::MAX` if they carry none.
const NO_SETTINGS: usize = usize::MAX - 1;

/// RFC 9113 section 6.9.1.
const MAX_WINDOW: u32 = (1 << 31) - 1;
