//! One request and its whole answer on an HTTP/2 connection.

use std::convert::Infallible;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Request, response};
use http_body::{Body, Frame};

use crate::policy::health::CheckResult;
use crate::runtime::connect::{Connect, Connection, SendErrorKind};
use crate::runtime::retry::ReplayRoom;

use super::{MAX_ANSWER, ProbeTarget, failed, new_place};

/// The answer to a request.
pub(super) struct Answer {
    pub(super) head: response::Parts,
    pub(super) body: Bytes,
    pub(super) trailers: Option<HeaderMap>,
}

/// Sends a request, over `place` or a new connection. If the endpoint has not looked at it, because the connection of `place` was about
/// to end, it is sent again over a new one.
pub(super) async fn exchange<C: Connect>(
    make: impl Fn() -> Option<Request<Option<Bytes>>>,
    target: &ProbeTarget,
    place: Option<<C::Connection as Connection>::Place>,
    connector: &C,
) -> Result<Answer, CheckResult> {
    if let Some(place) = place {
        match send::<C::Connection>(&make, place).await {
            Err(NoAnswer::Unprocessed) => {}
            Err(NoAnswer::Failed(reason)) => return Err(failed(reason)),
            Ok(answer) => return Ok(answer),
        }
    }
    let (_connection, place) = new_place(target, connector).await?;
    match send::<C::Connection>(&make, place).await {
        Ok(answer) => Ok(answer),
        Err(NoAnswer::Unprocessed) => Err(failed("the endpoint refuses requests unprocessed")),
        Err(NoAnswer::Failed(reason)) => Err(failed(reason)),
    }
}

enum NoAnswer {
    /// The endpoint has not looked at the request.
    Unprocessed,
    Failed(String),
}

async fn send<T: Connection>(
    make: &impl Fn() -> Option<Request<Option<Bytes>>>,
    place: T::Place,
) -> Result<Answer, NoAnswer> {
    let Some(request) = make() else {
        return Err(NoAnswer::Failed("the request of the health check is malformed".to_owned()));
    };
    let response = match T::send(place, request.map(OneBody), ReplayRoom::default()).await {
        Ok(response) => response,
        Err(failure) => {
            return Err(match failure.error.kind() {
                SendErrorKind::NotSent | SendErrorKind::Refused => NoAnswer::Unprocessed,
                _ => NoAnswer::Failed(failure.error.to_string()),
            });
        }
    };
    let (head, mut body) = response.into_parts();
    let (mut data, mut trailers) = (BytesMut::new(), None);
    while let Some(frame) = std::future::poll_fn(|cx| pin!(&mut body).poll_frame(cx)).await {
        let frame = frame.map_err(|error| NoAnswer::Failed(error.to_string()))?;
        match frame.into_data() {
            Ok(part) if data.len() + part.len() <= MAX_ANSWER => data.extend_from_slice(&part),
            Ok(_) => break,
            Err(frame) => trailers = frame.into_trailers().ok(),
        }
    }
    Ok(Answer { head, body: data.freeze(), trailers })
}

/// A body of at most one piece.
#[derive(Debug)]
pub(in crate::runtime) struct OneBody(pub(in crate::runtime) Option<Bytes>);

impl Body for OneBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.take().map(|data| Ok(Frame::data(data))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_none()
    }
}
