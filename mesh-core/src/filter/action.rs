//! What a filter does with a request.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use http::{HeaderMap, StatusCode, request};

/// What a filter decides about a request.
#[non_exhaustive]
pub enum RequestAction {
    /// It goes on.
    Continue,
    /// It ends here: the caller gets this reply, nothing is sent, no endpoint is picked.
    Reply(LocalReply),
    /// It continues when the future completes. The call's deadline holds meanwhile, and a call that is dropped or past its
    /// deadline drops the future.
    Wait(Pin<Box<dyn Future<Output = Resume> + Send>>),
}

impl RequestAction {
    /// Waits for a future.
    pub fn wait(until: impl Future<Output = Resume> + Send + 'static) -> Self {
        Self::Wait(Box::pin(until))
    }
}

impl fmt::Debug for RequestAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Continue => f.write_str("Continue"),
            Self::Reply(reply) => f.debug_tuple("Reply").field(reply).finish(),
            Self::Wait(_) => f.write_str("Wait"),
        }
    }
}

/// What the future of a waiting request decides about it.
#[non_exhaustive]
pub enum Resume {
    /// It goes on.
    Continue,
    /// It goes on, with its head changed by this function.
    Change(Box<dyn FnOnce(&mut request::Parts) + Send>),
    /// It ends here, as with [`RequestAction::Reply`].
    Reply(LocalReply),
}

impl Resume {
    /// Goes on with a changed head.
    pub fn change(change: impl FnOnce(&mut request::Parts) + Send + 'static) -> Self {
        Self::Change(Box::new(change))
    }
}

impl fmt::Debug for Resume {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Continue => f.write_str("Continue"),
            Self::Change(_) => f.write_str("Change"),
            Self::Reply(reply) => f.debug_tuple("Reply").field(reply).finish(),
        }
    }
}

/// A filter's own answer to a call, whatever the protocol: the gRPC face makes a response of it that has a status and no
/// messages (Trailers-Only).
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct LocalReply {
    /// What the caller sees as the result.
    pub status: LocalStatus,
    /// For people: gRPC's status message. Shared, so that a filter that refuses many calls makes its text once.
    pub message: Arc<str>,
    /// Headers of the response.
    pub headers: HeaderMap,
}

/// A reply's status; each protocol translates the other's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LocalStatus {
    /// An HTTP status; gRPC callers see the code that gRPC maps it to.
    // HF-13
    Http(StatusCode),
    /// A gRPC status code; above 16 it is UNKNOWN.
    // HF-14
    Grpc(u32),
}

impl LocalStatus {
    /// The gRPC code that callers of gRPC see.
    // HF-13, HF-14
    pub fn grpc_code(self) -> u32 {
        match self {
            Self::Grpc(code @ 0..=16) => code,
            Self::Grpc(_) => 2,
            Self::Http(status) => match status.as_u16() {
                400 => 13,
                401 => 16,
                403 => 7,
                404 => 12,
                429 | 502 | 503 | 504 => 14,
                _ => 2,
            },
        }
    }

    /// The HTTP status that callers of HTTP see: Envoy's for a gRPC code.
    pub fn http_status(self) -> StatusCode {
        match self {
            Self::Http(status) => status,
            Self::Grpc(code) => match code {
                0 => StatusCode::OK,
                3 | 9 | 11 => StatusCode::BAD_REQUEST,
                4 => StatusCode::GATEWAY_TIMEOUT,
                5 => StatusCode::NOT_FOUND,
                6 | 10 => StatusCode::CONFLICT,
                7 => StatusCode::FORBIDDEN,
                8 => StatusCode::TOO_MANY_REQUESTS,
                12 => StatusCode::NOT_IMPLEMENTED,
                14 => StatusCode::SERVICE_UNAVAILABLE,
                16 => StatusCode::UNAUTHORIZED,
                _ => StatusCode::INTERNAL_SERVER_ERROR,
            },
        }
    }
}

impl LocalReply {
    /// A reply with this status.
    pub fn new(status: LocalStatus, message: impl Into<Arc<str>>) -> Self {
        Self { status, message: message.into(), headers: HeaderMap::new() }
    }

    /// A reply with an HTTP status.
    pub fn http(status: StatusCode, message: impl Into<Arc<str>>) -> Self {
        Self::new(LocalStatus::Http(status), message)
    }

    /// A reply with a gRPC status code.
    pub fn grpc(code: u32, message: impl Into<Arc<str>>) -> Self {
        Self::new(LocalStatus::Grpc(code), message)
    }
}
