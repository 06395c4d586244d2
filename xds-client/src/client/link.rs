//! The client's end of an ADS stream.

use std::sync::Arc;

use futures_util::future::BoxFuture;

use crate::bootstrap::ServerConfig;
use crate::transport::{
    AdsRequest, AdsResponse, AdsTransport, Flow, RequestSender, TransportError, Variant, flow,
};

/// The client's end of an ADS stream: closed, opening or open. Dropping it ends the stream.
pub(super) enum Link<T: AdsTransport> {
    Closed,
    Opening(BoxFuture<'static, Opened<T>>),
    Open { sender: Option<T::Sender>, receiver: T::Receiver },
}

type Opened<T> = Result<(<T as AdsTransport>::Sender, <T as AdsTransport>::Receiver), TransportError>;

/// What has happened on the stream.
pub(super) enum Progress {
    Opened,
    /// It could not be opened.
    Failed(TransportError),
    /// A request can be sent.
    Ready,
    Response(Box<AdsResponse>),
    /// It has ended.
    Ended(Option<TransportError>),
}

impl<T: AdsTransport> Link<T> {
    pub(super) fn open(transport: &Arc<T>, server: &ServerConfig, variant: Variant) -> Self {
        let (transport, server) = (transport.clone(), server.clone());
        Self::Opening(Box::pin(async move { transport.open(&server, variant).await }))
    }

    pub(super) fn is_closed(&self) -> bool {
        matches!(self, Self::Closed)
    }

    /// Waits for progress. Cancel-safe: a dropped wait loses nothing.
    pub(super) async fn progress(&mut self, wants_to_send: bool) -> Progress {
        match self {
            Self::Closed => std::future::pending().await,
            Self::Opening(opening) => match opening.await {
                Ok((sender, receiver)) => {
                    *self = Self::Open { sender: Some(sender), receiver };
                    Progress::Opened
                }
                Err(error) => {
                    *self = Self::Closed;
                    Progress::Failed(error)
                }
            },
            Self::Open { sender, receiver } => match flow(sender, receiver, wants_to_send).await {
                Flow::Ready => Progress::Ready,
                Flow::Received(response) => Progress::Response(Box::new(response)),
                Flow::Ended(error) => {
                    *self = Self::Closed;
                    Progress::Ended(error)
                }
            },
        }
    }

    /// Sends a request, after [`Progress::Ready`].
    pub(super) fn send(&mut self, request: AdsRequest) {
        if let Self::Open { sender: Some(sender), .. } = self {
            sender.send(request);
        }
    }
}
