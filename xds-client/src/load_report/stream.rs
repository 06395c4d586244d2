//! A stream of load reports, in whatever state it is.

use std::sync::Arc;

use envoy_types::pb::envoy::service::load_stats::v3::{LoadStatsRequest, LoadStatsResponse};
use futures_util::future::BoxFuture;

use crate::bootstrap::ServerConfig;
use crate::transport::{AdsTransport, RequestSender, ResponseReceiver, TransportError};

/// A stream, in whatever state it is. Dropping it ends it.
pub(super) enum Stream<T: AdsTransport> {
    Closed,
    Opening(BoxFuture<'static, Opened<T>>),
    Open { sender: Option<T::LoadSender>, receiver: T::LoadReceiver },
}

type Opened<T> = Result<(<T as AdsTransport>::LoadSender, <T as AdsTransport>::LoadReceiver), TransportError>;

/// What has become of it.
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

    /// Waits for progress. May be dropped and called again without losing any.
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
            Self::Open { sender, receiver } => flow(sender, receiver, wants_to_send).await,
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

    /// Ends this side; the server may still answer.
    pub(super) fn finish(&mut self) {
        if let Self::Open { sender, .. } = self {
            *sender = None;
        }
    }
}

/// Sends and receives independently: neither waits for the other.
async fn flow<S, R>(sender: &mut Option<S>, receiver: &mut R, wants_to_send: bool) -> Progress
where
    S: RequestSender<LoadStatsRequest>,
    R: ResponseReceiver<LoadStatsResponse>,
{
    loop {
        let ready = async {
            match sender.as_mut().filter(|_| wants_to_send) {
                Some(sender) => sender.ready().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            received = receiver.receive() => return match received {
                Ok(Some(response)) => Progress::Response(response),
                Ok(None) => Progress::Ended(None),
                Err(error) => Progress::Ended(Some(error)),
            },
            ready = ready => match ready {
                Ok(()) => return Progress::Ready,
                // The receiver is about to say why.
                Err(_) => *sender = None,
            },
        }
    }
}
