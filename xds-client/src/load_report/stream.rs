//! The client's end of a stream of load reports.

use std::sync::Arc;

use envoy_types::pb::envoy::service::load_stats::v3::{LoadStatsRequest, LoadStatsResponse};
use futures_util::future::BoxFuture;

use crate::bootstrap::ServerConfig;
use crate::transport::{AdsTransport, Flow, RequestSender, TransportError, flow};

/// The client's end of a stream: closed, opening or open. Dropping it ends the stream.
pub(super) enum Stream<T: AdsTransport> {
    Closed,
    Opening(BoxFuture<'static, Opened<T>>),
    Open { sender: Option<T::LoadSender>, receiver: T::LoadReceiver },
}

type Opened<T> = Result<(<T as AdsTransport>::LoadSender, <T as AdsTransport>::LoadReceiver), TransportError>;

/// What has happened on the stream.
pub(super) enum Progress {
    Opened,
    /// A request can be sent.
    Ready,
    Response(LoadStatsResponse),
    /// It has ended, or could not be opened.
    Ended(Option<TransportError>),
}

impl<T: AdsTransport> Stream<T> {
    pub(super) fn open(transport: &Arc<T>, server: &ServerConfig) -> Self {
        let (transport, server) = (transport.clone(), server.clone());
        Self::Opening(Box::pin(async move { transport.open_load_report(&server).await }))
    }

    /// Waits for progress. Cancel-safe: a dropped wait loses nothing.
    pub(super) async fn progress(&mut self, wants_to_send: bool) -> Progress {
        let progress = match self {
            Self::Closed => std::future::pending().await,
            Self::Opening(opening) => match opening.await {
                Ok((sender, receiver)) => {
                    *self = Self::Open { sender: Some(sender), receiver };
                    Progress::Opened
                }
                Err(error) => Progress::Ended(Some(error)),
            },
            Self::Open { sender, receiver } => match flow(sender, receiver, wants_to_send).await {
                Flow::Ready => Progress::Ready,
                Flow::Received(response) => Progress::Response(response),
                Flow::Ended(error) => Progress::Ended(error),
            },
        };
        if matches!(progress, Progress::Ended(_)) {
            *self = Self::Closed;
        }
        progress
    }

    /// Sends a request, after [`Progress::Ready`].
    pub(super) fn send(&mut self, request: LoadStatsRequest) {
        if let Self::Open { sender: Some(sender), .. } = self {
            sender.send(request);
        }
    }

    /// Ends the client's side; the server may still answer.
    pub(super) fn finish(&mut self) {
        if let Self::Open { sender, .. } = self {
            *sender = None;
        }
    }
}
