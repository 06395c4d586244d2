//! The client's side of a stream, from the attempt to open it to its end.

use futures_util::future::{BoxFuture, FutureExt};

use super::{RequestSender, ResponseReceiver, TransportError};

/// A stream with the halves `S` and `V`, in any state. Dropping it ends it.
pub(crate) enum Stream<S, V> {
    Closed,
    Opening(BoxFuture<'static, Result<(S, V), TransportError>>),
    /// `sender` is `None` once nothing more will be sent.
    Open {
        sender: Option<S>,
        receiver: V,
    },
}

/// What has happened to a stream.
pub(crate) enum Progress<R> {
    /// It is open.
    Opened,
    /// It could not be opened.
    OpenFailed(TransportError),
    /// A request can be sent.
    Ready,
    Response(R),
    /// It has ended, without an error if the server has ended it.
    Ended(Option<TransportError>),
}

impl<S, V> Stream<S, V> {
    /// Starts to open a stream.
    pub(crate) fn open(
        opening: impl Future<Output = Result<(S, V), TransportError>> + Send + 'static,
    ) -> Self {
        Self::Opening(opening.boxed())
    }

    pub(crate) fn is_closed(&self) -> bool {
        matches!(self, Self::Closed)
    }

    /// Waits for progress. Cancel-safe: a dropped wait loses nothing.
    pub(crate) async fn progress<Q, R>(&mut self, wants_to_send: bool) -> Progress<R>
    where
        S: RequestSender<Q>,
        V: ResponseReceiver<R>,
    {
        let progress = match self {
            Self::Closed => std::future::pending().await,
            Self::Opening(opening) => match opening.await {
                Ok((sender, receiver)) => {
                    *self = Self::Open { sender: Some(sender), receiver };
                    Progress::Opened
                }
                Err(error) => Progress::OpenFailed(error),
            },
            Self::Open { sender, receiver } => send_or_receive(sender, receiver, wants_to_send).await,
        };
        if let Progress::OpenFailed(_) | Progress::Ended(_) = progress {
            *self = Self::Closed;
        }
        progress
    }

    /// Sends a request, after [`Progress::Ready`].
    pub(crate) fn send<Q>(&mut self, request: Q)
    where
        S: RequestSender<Q>,
    {
        if let Self::Open { sender: Some(sender), .. } = self {
            sender.send(request);
        }
    }

    /// Ends the client's half; the server may still respond.
    pub(crate) fn finish(&mut self) {
        if let Self::Open { sender, .. } = self {
            *sender = None;
        }
    }
}

/// Waits for a response and for room for a request at once: neither waits for the other. Responses come first, so that all
/// responses of a stream are received before its end. May be dropped and called again without losing anything.
async fn send_or_receive<Q, R>(
    sender: &mut Option<impl RequestSender<Q>>,
    receiver: &mut impl ResponseReceiver<R>,
    wants_to_send: bool,
) -> Progress<R> {
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
                // The receiver is about to give the reason.
                Err(_) => *sender = None,
            },
        }
    }
}
