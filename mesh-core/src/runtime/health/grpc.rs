//! A check by `grpc.health.v1.Health/Check`.

use bytes::{BufMut, Bytes, BytesMut};
use http::header::{CONTENT_TYPE, HeaderValue, TE, USER_AGENT};
use http::{HeaderMap, Method, Request, StatusCode, Version};

use crate::config::GrpcProbe;
use crate::policy::health::CheckResult;
use crate::runtime::connect::{Connect, Connection};

use super::exchange::{Answer, exchange};
use super::{CHECKER, ProbeTarget, refused, uri};

/// LB-64: only `SERVING` is healthy; every other answer is a refusal.
pub(super) async fn check<C: Connect>(
    probe: &GrpcProbe,
    target: &ProbeTarget,
    place: Option<<C::Connection as Connection>::Place>,
    connector: &C,
) -> CheckResult {
    let message = request_of(&probe.service);
    let make = || {
        let mut request = Request::builder()
            .method(Method::POST)
            .version(Version::HTTP_2)
            .uri(uri(target, probe.authority.as_ref(), METHOD))
            .header(CONTENT_TYPE, HeaderValue::from_static("application/grpc"))
            .header(USER_AGENT, CHECKER)
            .header(TE, HeaderValue::from_static("trailers"));
        for (name, value) in &probe.headers {
            request = request.header(name, value);
        }
        request.body(Some(message.clone())).ok()
    };
    match exchange(make, target, place, connector).await {
        Ok(answer) => judge(&answer),
        Err(result) => result,
    }
}

fn judge(answer: &Answer) -> CheckResult {
    let Answer { head, body, trailers } = answer;
    if head.status != StatusCode::OK {
        return refused(format!("the health check was answered with HTTP status {}", head.status));
    }
    let status = status(&head.headers).or_else(|| trailers.as_ref().and_then(status));
    match (status, body.as_ref()) {
        (None, _) => refused("the health check was answered without a gRPC status"),
        (Some(0), [0, _, _, _, _, 0x08, SERVING, ..]) => CheckResult::Good,
        (Some(0), [0, _, _, _, _, 0x08, other, ..]) => {
            refused(format!("the endpoint says that its health has the status {other}"))
        }
        (Some(0), _) => refused("the endpoint says that its health is not known"),
        (Some(code), _) => refused(format!("the health check ended with gRPC status {code}")),
    }
}

fn status(headers: &HeaderMap) -> Option<u32> {
    headers.get("grpc-status")?.to_str().ok()?.parse().ok()
}

/// A `grpc.health.v1.HealthCheckRequest`, framed: the service as its first field.
fn request_of(service: &str) -> Bytes {
    let mut message = Vec::with_capacity(service.len() + 6);
    if !service.is_empty() {
        message.push(0x0a);
        let mut length = service.len();
        while length >= 0x80 {
            message.push(length as u8 | 0x80);
            length >>= 7;
        }
        message.push(length as u8);
        message.extend(service.as_bytes());
    }
    let mut framed = BytesMut::with_capacity(message.len() + 5);
    framed.put_u8(0);
    framed.put_u32(message.len() as u32);
    framed.put_slice(&message);
    framed.freeze()
}

const METHOD: &str = "/grpc.health.v1.Health/Check";
const SERVING: u8 = 1;
