//! Runs a handshake: its time limit, its outcome, and a close that lets the peer read the alert.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use pin_project_lite::pin_project;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::{Instant, timeout, timeout_at};

use super::HandshakeError;
use super::check::VerifiedPeer;
use super::verifier::{Outcome, take_outcome};

/// The secured stream, and the peer if this handshake has verified its certificate: a resumed one has not.
pub(super) type Handshake<S> = (S, Option<Arc<VerifiedPeer>>);

/// Runs the handshake with `peer`, which is `client` or `server`, from its `start` to its `deadline` at the latest.
pub(super) async fn run<S, I>(
    handshake: impl Future<Output = Result<S, (io::Error, I)>>,
    (start, deadline): (Instant, Instant),
    peer: &'static str,
) -> Result<Handshake<S>, HandshakeError>
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let observed = Observed { handshake, outcome: None };
    let timed_out = |_| HandshakeError::timeout(deadline - start);
    let (result, outcome) = timeout_at(deadline, observed).await.map_err(timed_out)?;
    match (result, outcome) {
        (Ok(stream), outcome) => Ok((stream, outcome.and_then(Result::ok))),
        (Err((error, io)), outcome) => {
            tokio::spawn(close_after_alert(io));
            match outcome {
                Some(Err(refusal)) => Err(HandshakeError::refused(&refusal, peer)),
                _ => Err(HandshakeError::of_io(&error, peer)),
            }
        }
    }
}

/// Closes a connection after an alert was written. What the peer has sent is read first: closing a socket with unread data
/// resets the connection, and the peer's system may then drop the alert unread.
// H1
async fn close_after_alert(mut io: impl AsyncRead + AsyncWrite + Unpin) {
    let read_rest = async {
        io.shutdown().await?;
        let mut rest = (&mut io).take(MAX_REST);
        tokio::io::copy(&mut rest, &mut tokio::io::sink()).await
    };
    // The peer may go on as it likes; the connection is over in any case.
    _ = timeout(REST_TIME, read_rest).await;
}

pin_project! {
    /// A handshake with the outcome of its verifier, which runs inside its polls.
    struct Observed<F> {
        #[pin]
        handshake: F,
        outcome: Option<Outcome>,
    }
}

impl<F: Future> Future for Observed<F> {
    type Output = (F::Output, Option<Outcome>);

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let polled = this.handshake.poll(cx);
        if let Some(outcome) = take_outcome() {
            *this.outcome = Some(outcome);
        }
        polled.map(|result| (result, this.outcome.take()))
    }
}

const MAX_REST: u64 = 64 << 10;
const REST_TIME: Duration = Duration::from_secs(1);
