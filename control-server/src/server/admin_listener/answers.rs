//! The answers of the admin port: few large ones at a time, none for ever.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::response::IntoResponse as _;
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body::{Body as _, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tonic::codegen::Service as _;

use crate::admin::failure;

use super::activity::Activity;

/// Answers requests. Clones share their limits.
#[derive(Debug, Clone)]
pub(super) struct Answers {
    router: Router,
    /// Requests whose answers may be large.
    large: Arc<Semaphore>,
    /// Streams of clients' states.
    streams: Arc<Semaphore>,
}

/// The room that an answer takes.
enum Room {
    /// Probes and metrics always have some.
    Small,
    Large,
    Stream,
}

impl Room {
    fn of(path: &str) -> Self {
        match path {
            "/" | "/livez" | "/readyz" | "/metrics" => Self::Small,
            path if path.ends_with("/StreamClientStatus") => Self::Stream,
            _ => Self::Large,
        }
    }
}

impl Answers {
    pub(super) fn new(router: Router) -> Self {
        let semaphore = |permits| Arc::new(Semaphore::new(permits));
        Self { router, large: semaphore(LARGE_ANSWERS), streams: semaphore(STREAMS) }
    }

    /// The answer to a request, which takes its room until it has been read.
    pub(super) async fn answer(
        self,
        request: Request<Incoming>,
        activity: Arc<Activity>,
    ) -> Result<Response<Answer>, Infallible> {
        let under_way = UnderWay::new(activity);
        let room = Room::of(request.uri().path());
        let permit = match room {
            Room::Small => None,
            Room::Large => match tokio::time::timeout(PATIENCE, self.large.clone().acquire_owned()).await {
                Ok(Ok(permit)) => Some(permit),
                _ => return Ok(refused(under_way, &request, BUSY)),
            },
            Room::Stream => match self.streams.clone().try_acquire_owned() {
                Ok(permit) => Some(permit),
                Err(_) => return Ok(refused(under_way, &request, BUSY)),
            },
        };
        let is_grpc = is_grpc(&request);
        let answering = self.router.clone().call(request.map(Body::new));
        let response = match room {
            Room::Stream => answering.await?,
            Room::Small | Room::Large => match tokio::time::timeout(DEADLINE, answering).await {
                Ok(response) => response?,
                Err(_) => return Ok(refusal(under_way, is_grpc, LATE)),
            },
        };
        Ok(response.map(|body| Answer::new(body, permit, under_way)))
    }
}

fn is_grpc(request: &Request<Incoming>) -> bool {
    let content = request.headers().get(http::header::CONTENT_TYPE);
    content.is_some_and(|content| content.as_bytes().starts_with(b"application/grpc"))
}

fn refused(under_way: UnderWay, request: &Request<Incoming>, told: (StatusCode, &str)) -> Response<Answer> {
    refusal(under_way, is_grpc(request), told)
}

fn refusal(under_way: UnderWay, is_grpc: bool, (status, text): (StatusCode, &str)) -> Response<Answer> {
    let response = if is_grpc {
        tonic::Status::unavailable(text).into_http()
    } else {
        failure(status, text).into_response()
    };
    response.map(|body| Answer::new(body, None, under_way))
}

/// A request until its answer has been read.
#[derive(Debug)]
struct UnderWay(Arc<Activity>);

impl UnderWay {
    fn new(activity: Arc<Activity>) -> Self {
        activity.begin();
        Self(activity)
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.end();
    }
}

/// The body of an answer, in pieces that the connection does not store ahead: the room is taken until the last one.
#[derive(Debug)]
pub(super) struct Answer {
    body: Body,
    /// Of a part that is larger than a piece.
    rest: Bytes,
    _permit: Option<OwnedSemaphorePermit>,
    under_way: UnderWay,
    /// A part was given to the connection, which has not asked for the next one yet.
    is_sent: bool,
}

impl Answer {
    fn new(body: Body, permit: Option<OwnedSemaphorePermit>, under_way: UnderWay) -> Self {
        Self { body, rest: Bytes::new(), _permit: permit, under_way, is_sent: false }
    }

    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if self.rest.is_empty() {
            let polled = Pin::new(&mut self.body).poll_frame(cx);
            match polled {
                Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                    Ok(data) => self.rest = data,
                    Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
                },
                other => return other,
            }
        }
        let piece = self.rest.split_to(self.rest.len().min(PIECE));
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn read(&mut self) {
        if std::mem::take(&mut self.is_sent) {
            self.under_way.0.part_read();
        }
    }
}

impl http_body::Body for Answer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        self.read();
        let polled = self.poll_piece(cx);
        if matches!(&polled, Poll::Ready(Some(Ok(_)))) {
            self.is_sent = true;
            self.under_way.0.part_sent();
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let rest = u64::try_from(self.rest.len()).unwrap_or(u64::MAX);
        let hint = self.body.size_hint();
        let mut with_rest = SizeHint::new();
        with_rest.set_lower(hint.lower().saturating_add(rest));
        if let Some(upper) = hint.upper() {
            with_rest.set_upper(upper.saturating_add(rest));
        }
        with_rest
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        self.read();
    }
}

const BUSY: (StatusCode, &str) =
    (StatusCode::SERVICE_UNAVAILABLE, "too many large answers are being read at the moment; try again later");
const LATE: (StatusCode, &str) = (StatusCode::REQUEST_TIMEOUT, "the request was not complete within 30 s");
/// Answers other than probes' at a time.
const LARGE_ANSWERS: usize = 4;
const STREAMS: usize = 16;
const PIECE: usize = 64 << 10;
/// How long a request waits for other answers to be read.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a request's body and the making of its answer may take.
const DEADLINE: Duration = Duration::from_secs(30);
