//! gRPC for the request path.

use std::time::Duration;

use http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use http::{Extensions, HeaderMap, Response, StatusCode, request};
use mesh_core::filter::LocalReply;
use mesh_core::observe::MethodKind;
use mesh_core::policy::matcher::HeaderView;
use mesh_core::policy::outlier::FailureKind;
use mesh_core::policy::retry::Pushback;
use mesh_core::policy::timeout::{format_grpc_timeout, parse_grpc_timeout};
use mesh_core::runtime::{CallStatus, MeshError, Protocol, Stamp};
use tonic::body::Body;
use tonic::{Code, GrpcMethod, Status};

use crate::status;

const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
const GRPC_TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");
const GRPC_PREVIOUS_RPC_ATTEMPTS: HeaderName = HeaderName::from_static("grpc-previous-rpc-attempts");

/// gRPC over HTTP/2.
#[derive(Debug)]
pub(crate) struct Grpc;

impl Protocol for Grpc {
    type Body = Body;

    fn view(headers: &HeaderMap) -> HeaderView<'_> {
        HeaderView::Grpc(headers)
    }

    /// Finds the status of a Trailers-Only response, and of one that is not gRPC.
    fn classify_head(status: StatusCode, headers: &HeaderMap) -> Option<CallStatus> {
        let code = match code(headers) {
            Some(code) => code,
            None if status != StatusCode::OK => status::of_http(status),
            None => return None,
        };
        // tonic's codes have the numbers of the wire
        Some(CallStatus::new(code as u32, Pushback::from_headers(headers)))
    }

    /// A response without a status counts as a failure.
    fn failure(status: StatusCode, last: &HeaderMap) -> Option<FailureKind> {
        match code(last) {
            Some(code) => failure_of_code(code),
            None if status == StatusCode::OK => Some(FailureKind::Server),
            None => Some(failure_of_http(status)),
        }
    }

    fn code(error: &MeshError) -> u32 {
        status::code(error) as u32
    }

    /// Trailers-Only: a status and no messages.
    fn local_reply(reply: LocalReply) -> Response<()> {
        // HF-13, HF-14
        let code = status::of_local(reply.status);
        let mut response = Response::new(());
        let headers = response.headers_mut();
        *headers = reply.headers;
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        // a message that is no valid header value is not sent
        if Status::new(code, &*reply.message).add_header(headers).is_err() {
            headers.insert(GRPC_STATUS, (code as i32).into());
        }
        response
    }

    /// B2: a path that is not exactly `/service/method` names no method, so that routes, filters and the service see the same
    /// name.
    fn refuse(head: &mut request::Parts) -> Option<LocalReply> {
        let mut parts = head.uri.path().split('/');
        let names = (parts.next(), parts.next(), parts.next(), parts.next());
        let is_method = matches!(names, (Some(""), Some(service), Some(method), None)
            if !service.is_empty() && !method.is_empty());
        let refused = !is_method || head.uri.query().is_some();
        refused.then(|| LocalReply::grpc(Code::Unimplemented as u32, "the path is not /service/method"))
    }

    fn timeout(headers: &HeaderMap) -> Option<Duration> {
        timeout(headers)
    }

    /// Generated clients name their method among the extensions.
    fn method_kind(path: &str, extensions: &Extensions) -> Option<MethodKind> {
        let rest = |method: &GrpcMethod<'static>| {
            let path = path.strip_prefix('/')?.strip_prefix(method.service())?.strip_prefix('/')?;
            (path == method.method()).then_some(())
        };
        Some(match extensions.get::<GrpcMethod<'static>>().and_then(rest) {
            Some(()) => MethodKind::Registered,
            None => MethodKind::Generic,
        })
    }

    fn stamp(headers: &mut HeaderMap, stamp: Stamp) {
        // RT-44
        if stamp.previous_attempts > 0 {
            headers.insert(GRPC_PREVIOUS_RPC_ATTEMPTS, stamp.previous_attempts.into());
        }
        if let Some(remaining) = stamp.remaining
            && let Ok(value) = HeaderValue::from_bytes(format_grpc_timeout(remaining).as_bytes())
        {
            headers.insert(GRPC_TIMEOUT, value);
        }
    }
}

/// LB-61, and the HTTP status that Envoy maps a code to: UNAVAILABLE is 503, DEADLINE_EXCEEDED 504.
fn failure_of_code(code: Code) -> Option<FailureKind> {
    match code {
        Code::Ok => None,
        Code::Unavailable | Code::DeadlineExceeded => Some(FailureKind::Gateway),
        Code::Unknown | Code::Internal | Code::DataLoss | Code::Unimplemented => Some(FailureKind::Server),
        Code::ResourceExhausted => Some(FailureKind::Throttled),
        Code::Cancelled
        | Code::InvalidArgument
        | Code::NotFound
        | Code::AlreadyExists
        | Code::PermissionDenied
        | Code::FailedPrecondition
        | Code::Aborted
        | Code::OutOfRange
        | Code::Unauthenticated => Some(FailureKind::Request),
    }
}

/// The endpoint, or a proxy in front of it, does not speak gRPC.
fn failure_of_http(status: StatusCode) -> FailureKind {
    match status.as_u16() {
        429 => FailureKind::Throttled,
        502..=504 => FailureKind::Gateway,
        500.. => FailureKind::Server,
        _ => FailureKind::Request,
    }
}

/// The timeout that the application has set; `None` also if it cannot be read.
pub(crate) fn timeout(headers: &HeaderMap) -> Option<Duration> {
    parse_grpc_timeout(headers.get(GRPC_TIMEOUT)?.as_bytes())
}

/// The status in a response's head or trailers.
pub(crate) fn code(headers: &HeaderMap) -> Option<Code> {
    headers.get(GRPC_STATUS).map(|value| Code::from_bytes(value.as_bytes()))
}
