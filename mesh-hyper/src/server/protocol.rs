//! HTTP for the calls of a server.

use std::borrow::Cow;
use std::time::Duration;

use http::header::{CONNECTION, CONTENT_TYPE, HeaderName, HeaderValue};
use http::uri::PathAndQuery;
use http::{HeaderMap, Method, Response, StatusCode, Uri, request};
use mesh_core::filter::{LocalReply, LocalStatus};
use mesh_core::policy::matcher::HeaderView;
use mesh_core::policy::outlier::FailureKind;
use mesh_core::policy::timeout::parse_grpc_timeout;
use mesh_core::runtime::{CallKind, CallStatus, MeshError, Protocol, Stamp};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use crate::status::failure_of;

use super::path::normalised;

/// HTTP, with gRPC among its requests.
#[derive(Debug)]
pub(super) struct ServedHttp;

impl Protocol for ServedHttp {
    type Body = hyper::body::Incoming;

    fn view(headers: &HeaderMap) -> HeaderView<'_> {
        // also of gRPC's requests: a caller cannot hide a header from rules by its content type
        HeaderView::Response(headers)
    }

    fn classify_head(status: StatusCode, _: &HeaderMap) -> Option<CallStatus> {
        Some(CallStatus::new(status.as_u16().into(), None))
    }

    fn failure(status: StatusCode, _: &HeaderMap) -> Option<FailureKind> {
        failure_of(status)
    }

    fn code(_: &MeshError) -> u32 {
        StatusCode::SERVICE_UNAVAILABLE.as_u16().into()
    }

    /// The status and no body: the reason of a refusal is not told to the caller.
    fn local_reply(reply: LocalReply) -> Response<()> {
        let mut response = Response::new(());
        *response.status_mut() = reply.status.http_status();
        *response.headers_mut() = reply.headers;
        // What follows a request that is malformed is not read as another one.
        if response.status() == StatusCode::BAD_REQUEST {
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }

    fn call_kind(headers: &HeaderMap) -> CallKind {
        CallKind::of(headers)
    }

    fn server_reply(reply: LocalReply, kind: CallKind) -> Response<()> {
        match kind {
            CallKind::Grpc => trailers_only(reply),
            CallKind::Http => Self::local_reply(reply),
        }
    }

    fn no_route(kind: CallKind) -> LocalStatus {
        LocalStatus::Http(match kind {
            CallKind::Grpc => StatusCode::SERVICE_UNAVAILABLE,
            CallKind::Http => StatusCode::NOT_FOUND,
        })
    }

    /// T5: `CONNECT` names no resource, and `OPTIONS *` asks the server as a whole.
    fn refuse(head: &mut request::Parts) -> Option<LocalReply> {
        if head.method == Method::CONNECT {
            return Some(LocalReply::http(StatusCode::METHOD_NOT_ALLOWED, "CONNECT is not served"));
        }
        if !head.uri.path().starts_with('/') {
            let status = match head.method {
                Method::OPTIONS => StatusCode::NO_CONTENT,
                _ => StatusCode::BAD_REQUEST,
            };
            return Some(LocalReply::http(status, "the request names no path"));
        }
        let is_whole = rewrite_path(head).is_some();
        (!is_whole).then(|| LocalReply::http(StatusCode::BAD_REQUEST, "the path of the request is malformed"))
    }

    fn timeout(headers: &HeaderMap) -> Option<Duration> {
        match CallKind::of(headers) {
            CallKind::Grpc => parse_grpc_timeout(headers.get("grpc-timeout")?.as_bytes()),
            CallKind::Http => None,
        }
    }

    fn stamp(_: &mut HeaderMap, _: Stamp) {}
}

/// Gives a request the one form of its path that routes, filters and the application see. `None`: the path is malformed.
fn rewrite_path(head: &mut request::Parts) -> Option<()> {
    let path = match normalised(head.uri.path())? {
        Cow::Borrowed(_) => return Some(()),
        Cow::Owned(path) => path,
    };
    let text = match head.uri.query() {
        Some(query) => format!("{path}?{query}"),
        None => path,
    };
    let mut parts = head.uri.clone().into_parts();
    parts.path_and_query = Some(PathAndQuery::try_from(text).ok()?);
    head.uri = Uri::from_parts(parts).ok()?;
    Some(())
}

/// gRPC's response that has a status and no messages.
fn trailers_only(reply: LocalReply) -> Response<()> {
    let mut response = Response::new(());
    let headers = response.headers_mut();
    *headers = reply.headers;
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    headers.insert(GRPC_STATUS, reply.status.grpc_code().into());
    let message = utf8_percent_encode(&reply.message, NOT_IN_MESSAGES).to_string();
    if let Ok(message) = HeaderValue::try_from(message) {
        headers.insert(GRPC_MESSAGE, message);
    }
    response
}

const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
const GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");

/// What messages of gRPC statuses have percent-encoded, besides bytes beyond ASCII.
const NOT_IN_MESSAGES: &AsciiSet = &CONTROLS.add(b'%');
