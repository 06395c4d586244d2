//! The service that sends the load apart from calls.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body as HttpBody;
use tokio::time::{Instant, Sleep, sleep_until};
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::tokio_stream::Stream;
use tonic::codegen::{BoxFuture, StdError};
use tonic::server::{Grpc, NamedService, ServerStreamingService};
use tower_service::Service;

use super::LoadReporter;
use crate::codec::BytesCodec;
use crate::server::wire::{self, Value};

/// `xds.service.orca.v3.OpenRcaService`: sends a server's load to clients that ask for it apart from calls (gRFC A51), at once and then
/// as often as they ask, whether or not it has changed.
#[derive(Debug, Clone)]
pub struct LoadReportService {
    server: LoadReporter,
    least_interval: Duration,
}

impl LoadReportService {
    /// Of this server, at most every 30 s.
    // OB-20
    pub fn of(server: &LoadReporter) -> Self {
        Self { server: server.clone(), least_interval: LEAST_INTERVAL }
    }

    /// Sends at most so often, whatever clients ask for; never more often than every 100 ms. A client that asks for no interval gets this one.
    #[must_use]
    pub fn least_interval(mut self, interval: Duration) -> Self {
        self.least_interval = interval.max(Duration::from_millis(100));
        self
    }
}

const LEAST_INTERVAL: Duration = Duration::from_secs(30);

impl NamedService for LoadReportService {
    const NAME: &'static str = "xds.service.orca.v3.OpenRcaService";
}

impl<B> Service<Request<B>> for LoadReportService
where
    B: HttpBody<Data = Bytes> + Send + 'static,
    B::Error: Into<StdError> + Send,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Infallible>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let service = self.clone();
        let method = request.uri().path().rsplit('/').next().unwrap_or_default().to_owned();
        Box::pin(async move {
            Ok(match method.as_str() {
                "StreamCoreMetrics" => {
                    Grpc::new(BytesCodec).server_streaming(Metrics(service), request).await
                }
                _ => Status::unimplemented(format!("no method {method:?} in {}", Self::NAME)).into_http(),
            })
        })
    }
}

/// `StreamCoreMetrics`.
struct Metrics(LoadReportService);

impl ServerStreamingService<Bytes> for Metrics {
    type Response = Bytes;
    type ResponseStream = Reports;
    type Future = Ready<Result<tonic::Response<Reports>, Status>>;

    fn call(&mut self, request: tonic::Request<Bytes>) -> Self::Future {
        let LoadReportService { server, least_interval } = self.0.clone();
        let asked = asked_interval(&request.into_inner());
        let asked = asked.ok_or_else(|| Status::internal("the request is no OrcaLoadReportRequest"));
        ready(asked.map(|asked| {
            let next = Box::pin(sleep_until(Instant::now()));
            tonic::Response::new(Reports { server, interval: asked.max(least_interval), next })
        }))
    }
}

struct Reports {
    server: LoadReporter,
    interval: Duration,
    next: Pin<Box<Sleep>>,
}

impl Stream for Reports {
    type Item = Result<Bytes, Status>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        ready!(self.next.as_mut().poll(cx));
        let next = Instant::now() + self.interval;
        self.next.as_mut().reset(next);
        let message = self.server.0.lock().encode();
        Poll::Ready(Some(Ok(message.into())))
    }
}

/// The field `report_interval`, number 1, of an `OrcaLoadReportRequest`; zero if it is not set, or negative. `None`: it is no such message.
fn asked_interval(message: &[u8]) -> Option<Duration> {
    let mut interval: &[u8] = &[];
    wire::read(message, |number, value| {
        if let (1, Value::Bytes(value)) = (number, value) {
            interval = value;
        }
    })?;
    let (mut seconds, mut nanos) = (0, 0);
    wire::read(interval, |number, value| match (number, value) {
        // Negative numbers are those above the half.
        (1, Value::Varint(value)) => seconds = value.cast_signed(),
        (2, Value::Varint(value)) => nanos = value.cast_signed(),
        _ => {}
    })?;
    let is_duration = (0..=MAX_SECONDS).contains(&seconds) && (0..1_000_000_000).contains(&nanos);
    let parts = u64::try_from(seconds).ok().zip(u32::try_from(nanos).ok()).filter(|_| is_duration);
    Some(parts.map(|(seconds, nanos)| Duration::new(seconds, nanos)).unwrap_or_default())
}

/// Protobuf's longest duration, 10,000 years.
const MAX_SECONDS: i64 = 315_576_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interval_of_a_request() {
        let rows: [(&[u8], Option<Duration>); 8] = [
            (b"", Some(Duration::ZERO)),
            (b"\x0a\x00", Some(Duration::ZERO)),
            (b"\x0a\x02\x08\x05", Some(Duration::from_secs(5))),
            (b"\x0a\x05\x10\x80\xca\xb5\xee\x01\x12\x01a", None),
            (b"\x0a\x06\x10\x80\xca\xb5\xee\x01\x12\x01a", Some(Duration::from_millis(500))),
            (b"\x0a\x0b\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", Some(Duration::ZERO)),
            (b"\x0a\x0a\x08\xff\xff\xff\xff\xff\xff\xff\xff\x7f", Some(Duration::ZERO)),
            (b"\x0a\x05\x08", None),
        ];
        for (message, expected) in rows {
            assert_eq!(asked_interval(message), expected, "{message:?}");
        }
    }
}
