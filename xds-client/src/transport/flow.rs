//! Both halves of a stream at once.

use super::{RequestSender, ResponseReceiver, TransportError};

/// What has become of a stream.
pub(crate) enum Flow<R> {
    /// A request can be sent.
    Ready,
    Received(R),
    /// It has ended.
    Ended(Option<TransportError>),
}

/// Sends and receives independently: neither waits for the other. What has arrived comes first, so that a stream that
/// has ended is heard out. May be dropped and called again without losing anything.
pub(crate) async fn flow<Q, R>(
    sender: &mut Option<impl RequestSender<Q>>,
    receiver: &mut impl ResponseReceiver<R>,
    wants_to_send: bool,
) -> Flow<R> {
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
                Ok(Some(response)) => Flow::Received(response),
                Ok(None) => Flow::Ended(None),
                Err(error) => Flow::Ended(Some(error)),
            },
            ready = ready => match ready {
                Ok(()) => return Flow::Ready,
                // The receiver is about to say why.
                Err(_) => *sender = None,
            },
        }
    }
}
