//! The parts of the request path in which gRPC and HTTP differ.

use std::fmt::Debug;
use std::time::Duration;

use http::header::CONTENT_TYPE;
use http::{Extensions, HeaderMap, HeaderValue, Response, StatusCode, request};

use crate::filter::{LocalReply, LocalStatus};
use crate::observe::MethodKind;
use crate::policy::matcher::HeaderView;
use crate::policy::outlier::FailureKind;
use crate::policy::retry::Pushback;

use super::MeshError;
use super::connect::{SendBody, WireProtocol};

/// A protocol on top of HTTP: which responses are failures, and which headers each attempt gets.
///
/// Made for `mesh-tonic` and `mesh-hyper`; new functions may be added for them.
pub trait Protocol: Debug + Send + Sync + 'static {
    /// The body of requests.
    type Body: SendBody;

    /// The request's headers that configured rules can see.
    fn view(headers: &HeaderMap) -> HeaderView<'_>;

    /// The result of an attempt whose response ends with its head; `None`: the result comes later, and the caller gets the
    /// head now.
    // RT-43
    fn classify_head(status: StatusCode, headers: &HeaderMap) -> Option<CallStatus>;

    /// How an attempt failed, as load reports and outlier detection count it; `None`: it succeeded. `status` is that of the
    /// response's head; `last` are the trailers, or the head's headers if the response ends with its head, or none.
    fn failure(status: StatusCode, last: &HeaderMap) -> Option<FailureKind>;

    /// The code of an error of the mesh, for retry policies.
    fn code(error: &MeshError) -> u32;

    /// The response to the caller for a filter's reply.
    fn local_reply(reply: LocalReply) -> Response<()>;

    /// The kind of a server's request with these headers.
    fn call_kind(_headers: &HeaderMap) -> CallKind {
        CallKind::Grpc
    }

    /// A server's response for a reply of its own to a request of this kind.
    fn server_reply(reply: LocalReply, _kind: CallKind) -> Response<()> {
        Self::local_reply(reply)
    }

    /// How a server replies to a request of this kind that no route takes.
    // RT-20
    fn no_route(_kind: CallKind) -> LocalStatus {
        LocalStatus::Http(StatusCode::SERVICE_UNAVAILABLE)
    }

    /// A server's reply to a request that is none of this protocol's; `None`: the request goes on to routes and filters.
    ///
    /// Brings the path to the one form that routes, filters and the application see.
    fn refuse(_head: &mut request::Parts) -> Option<LocalReply> {
        None
    }

    /// How long a caller waits for a response, as the request says.
    fn timeout(_headers: &HeaderMap) -> Option<Duration> {
        None
    }

    /// Where the method's name in this path comes from, for observers; `None`, the default: calls of this protocol are not observed.
    // OB-05
    fn method_kind(_path: &str, _extensions: &Extensions) -> Option<MethodKind> {
        None
    }

    /// Writes the headers that differ for every attempt.
    fn stamp(headers: &mut HeaderMap, stamp: Stamp);
}

/// Whether a request is gRPC's, on servers that take both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallKind {
    /// Its results are gRPC statuses, whatever the HTTP status is.
    Grpc,
    /// Its results are HTTP statuses.
    Http,
}

impl CallKind {
    /// The kind of a request with these headers: gRPC's content types are `application/grpc`, alone or with a suffix after `+`
    /// or `;`.
    pub fn of(headers: &HeaderMap) -> Self {
        let value = headers.get(CONTENT_TYPE).map_or(&b""[..], HeaderValue::as_bytes);
        let (name, rest) = value.split_at_checked(GRPC.len()).unwrap_or((value, b""));
        let is_whole = matches!(rest.first(), None | Some(b'+' | b';' | b' '));
        if name.eq_ignore_ascii_case(GRPC) && is_whole { Self::Grpc } else { Self::Http }
    }
}

const GRPC: &[u8] = b"application/grpc";

/// The result of an attempt, as retry policies see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct CallStatus {
    /// The protocol's code, as retry policies name it.
    pub code: u32,
    /// The server's instruction on retries.
    pub pushback: Option<Pushback>,
}

impl CallStatus {
    /// A result with this code and, if the server has sent one, a pushback.
    pub fn new(code: u32, pushback: Option<Pushback>) -> Self {
        Self { code, pushback }
    }
}

/// The values of the headers that differ for every attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stamp {
    /// How many attempts failed before; transparent retries do not count.
    // RT-44
    pub previous_attempts: u32,
    /// The rest of the call's timeout; `None`: it has none.
    pub remaining: Option<Duration>,
    /// The protocol of the connection that takes the attempt.
    pub wire: WireProtocol,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_type_says_whether_a_request_is_grpc() {
        let rows = [
            ("application/grpc", CallKind::Grpc),
            ("Application/GRPC+proto", CallKind::Grpc),
            ("application/grpc; charset=utf-8", CallKind::Grpc),
            ("application/grpc-web", CallKind::Http),
            ("application/grp", CallKind::Http),
            ("application/json", CallKind::Http),
            ("", CallKind::Http),
        ];
        for (value, expected) in rows {
            let headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(value))]);
            assert_eq!(CallKind::of(&headers), expected, "{value}");
        }
        assert_eq!(CallKind::of(&HeaderMap::new()), CallKind::Http);
    }
}
