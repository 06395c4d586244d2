//! The stream, in whatever state it is.

use std::sync::Arc;

use futures_util::future::BoxFuture;

use crate::bootstrap::ServerConfig;
use crate::transport::{
    AdsRequest, AdsResponse, AdsTransport, RequestSender, ResponseReceiver, TransportError, Variant,
};

/// The stream, in whatever state it is. Dropping it ends it.
pub(super) enum Link<T: AdsTransport> {
    Closed,
    Opening(BoxFuture<'static, Opened<T>>),
    Open { sender: Option<T::Sender>, receiver: T::Receiver },
}

type Opened<T> = Result<(<T as AdsTransport>::Sender, <T as AdsTransport>::Receiver), TransportError>;

/// What has become of it.
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

    /// Waits for progress. May be dropped and called again without losing any.
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
            Self::Open { sender, receiver } => {
                let progress = flow(sender, receiver, wants_to_send).await;
                if matches!(progress, Progress::Ended(_)) {
                    *self = Self::Closed;
                }
                progress
            }
        }
    }

    /// Sends a request, after [`Progress::Ready`].
    pub(super) fn send(&mut self, request: AdsRequest) {
        if let Self::Open { sender: Some(sender), .. } = self {
            sender.send(request);
        }
    }
}

/// Sends and receives independently: neither waits for the other. What has arrived comes first, so that a stream that
/// has ended is heard out.
async fn flow<S: RequestSender<AdsRequest>, R: ResponseReceiver<AdsResponse>>(
    sender: &mut Option<S>,
    receiver: &mut R,
    wants_to_send: bool,
) -> Progress {
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
                Ok(Some(response)) => Progress::Response(Box::new(response)),
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
