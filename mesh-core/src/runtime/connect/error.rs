//! Errors of connections and of the calls on them.

use std::collections::VecDeque;
use std::error::Error;
use std::fmt;
use std::net::SocketAddr;

use bytes::Bytes;

type BoxError = Box<dyn Error + Send + Sync>;

/// An attempt to connect failed. Its text names the address and the cause, and is part of the errors of calls.
#[derive(thiserror::Error)]
#[error("connect to {address}: {}", Lower(.cause))]
pub struct ConnectError {
    address: SocketAddr,
    /// Part of the text, and so not returned by `source()`.
    cause: BoxError,
}

crate::debug_with_causes!(ConnectError, SendError, BodyError);

impl ConnectError {
    /// An attempt to `address` that failed because of `cause`.
    pub fn new(address: SocketAddr, cause: impl Into<BoxError>) -> Self {
        Self { address, cause: cause.into() }
    }

    /// The address of the attempt.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Why it failed.
    pub fn cause(&self) -> &(dyn Error + Send + Sync + 'static) {
        self.cause.as_ref()
    }
}

/// A text with its first letter in lower case, unlike those of the operating system.
struct Lower<'a>(&'a BoxError);

impl fmt::Display for Lower<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.0.to_string();
        let rest = text.find(|letter: char| !letter.is_ascii_uppercase()).unwrap_or(0);
        // changes "Connection", but not "TLS" or "HTTP/2"
        match rest {
            1 => write!(f, "{}{}", text[..1].to_ascii_lowercase(), &text[1..]),
            _ => f.write_str(&text),
        }
    }
}

/// A call got no response head.
#[derive(Debug)]
#[non_exhaustive]
pub struct SendFailure<B> {
    /// Why.
    pub error: SendError,
    /// The request, if it can be sent again on another connection: with [`SendErrorKind::NotSent`] and
    /// [`SendErrorKind::Refused`], if there was room to keep the part of its body that had been read.
    pub unread: Option<Box<UnreadRequest<B>>>,
}

/// A request that can be sent again.
#[derive(Debug)]
pub struct UnreadRequest<B> {
    /// The head, without its extensions; `None`: the caller keeps it.
    pub head: Option<http::request::Parts>,
    /// The body.
    pub body: UnreadBody<B>,
}

/// The body of a request that can be sent again.
#[derive(Debug)]
pub struct UnreadBody<B> {
    /// The data that has been read from the body; to be sent before the rest.
    pub read: VecDeque<Bytes>,
    /// The rest of the body; `None`: it has been read to its end, and must not be polled again.
    pub rest: Option<B>,
}

impl<B> UnreadRequest<B> {
    /// A request of whose body nothing has been read.
    pub fn new(head: Option<http::request::Parts>, body: B) -> Self {
        Self { head, body: UnreadBody { read: VecDeque::new(), rest: Some(body) } }
    }
}

impl<B> SendFailure<B> {
    /// A failure of a request that cannot be sent again.
    pub fn new(kind: SendErrorKind, source: impl Into<BoxError>) -> Self {
        Self { error: SendError::new(kind, source), unread: None }
    }

    /// With the request for sending it again.
    #[must_use]
    pub fn with_request(self, request: UnreadRequest<B>) -> Self {
        Self { unread: Some(Box::new(request)), ..self }
    }

    /// A failure of a request that never left this process.
    pub fn not_sent(request: http::Request<B>, source: impl Into<BoxError>) -> Self {
        let (head, body) = request.into_parts();
        Self::new(SendErrorKind::NotSent, source).with_request(UnreadRequest::new(Some(head), body))
    }
}

/// Why a call got no response head.
#[derive(thiserror::Error)]
#[error("{kind}")]
pub struct SendError {
    kind: SendErrorKind,
    source: BoxError,
}

impl SendError {
    /// An error of this kind with its cause.
    pub fn new(kind: SendErrorKind, source: impl Into<BoxError>) -> Self {
        Self { kind, source: source.into() }
    }

    /// Whether the endpoint may have processed the call.
    pub fn kind(&self) -> SendErrorKind {
        self.kind
    }

    /// The HTTP/2 error code, if there is one.
    pub fn h2_code(&self) -> Option<u32> {
        match self.kind {
            SendErrorKind::Reset(code) => Some(code),
            SendErrorKind::Refused => Some(REFUSED_STREAM),
            SendErrorKind::TooLarge => Some(ENHANCE_YOUR_CALM),
            _ => None,
        }
    }

    /// The cause.
    pub fn cause(&self) -> &(dyn Error + Send + Sync + 'static) {
        self.source.as_ref()
    }
}

/// Whether an endpoint may have processed a call without a response.
// RT-45
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum SendErrorKind {
    /// It never left this process: it may be sent again, any number of times.
    NotSent,
    /// The endpoint reported that it did not process it (REFUSED_STREAM, or a GOAWAY with a lower last stream): it may be
    /// sent again once.
    Refused,
    /// The stream was reset with this HTTP/2 error code; the endpoint may have processed the call.
    Reset(u32),
    /// The connection was lost; the endpoint may have processed the call.
    Closed,
    /// The request's own body failed; the cause is the body's error.
    Body,
    /// The request's or the response's head exceeds a limit, which the cause names. It fails at every endpoint.
    TooLarge,
    /// HTTP/2 cannot express the request, for example because of a `connection` header: it fails at every endpoint.
    Malformed,
}

impl fmt::Display for SendErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotSent => f.write_str("the call was not sent"),
            Self::Refused => f.write_str("the endpoint refused the call unprocessed"),
            Self::Reset(code) => write!(f, "the call was reset with HTTP/2 error code {code}"),
            Self::Closed => f.write_str("the connection was lost"),
            Self::Body => f.write_str("the request's body failed"),
            Self::TooLarge => f.write_str("a head is too large"),
            Self::Malformed => f.write_str("HTTP/2 cannot carry the request"),
        }
    }
}

/// A response's body ended before it was complete.
#[derive(thiserror::Error)]
#[error("the response's body broke off")]
pub struct BodyError {
    h2_code: Option<u32>,
    source: BoxError,
}

impl BodyError {
    /// A body that ended early because of `source`, with the HTTP/2 error code if there was one.
    pub fn new(h2_code: Option<u32>, source: impl Into<BoxError>) -> Self {
        Self { h2_code, source: source.into() }
    }

    /// The HTTP/2 error code; `None`: the connection was lost.
    pub fn h2_code(&self) -> Option<u32> {
        self.h2_code
    }

    /// The cause.
    pub fn cause(&self) -> &(dyn Error + Send + Sync + 'static) {
        self.source.as_ref()
    }
}

/// Why a connection takes no more calls. Displayed as in gRPC's `grpc.disconnect_error`.
// OB-12
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum DisconnectReason {
    /// The endpoint sent GOAWAY with this HTTP/2 error code.
    GoAway(u32),
    /// The client does not need the connection any more.
    Shutdown,
    /// It has carried as many calls as its cluster allows
    /// ([`ConnectionSettings::max_requests`](crate::config::ConnectionSettings::max_requests)).
    UsedUp,
    /// It has had no call for the idle timeout of its cluster
    /// ([`ConnectionSettings::idle_timeout`](crate::config::ConnectionSettings::idle_timeout)).
    Idle,
    /// The endpoint's certificate has expired; running calls go on for
    /// [`Http2Settings::expired_peer_grace`](super::Http2Settings::expired_peer_grace).
    PeerExpired,
    /// The endpoint's certificate is not accepted any more: roots or revocation lists have changed.
    PeerRefused,
    /// The endpoint reset it.
    Reset,
    /// No answer within the time of the transport or of the keepalive.
    TimedOut,
    /// Aborted locally by the operating system.
    Aborted,
    /// Another failure of the socket.
    Socket,
    /// Closed without a reason.
    Unknown,
}

impl From<&std::io::Error> for DisconnectReason {
    fn from(error: &std::io::Error) -> Self {
        match error.kind() {
            std::io::ErrorKind::ConnectionReset => Self::Reset,
            std::io::ErrorKind::TimedOut => Self::TimedOut,
            std::io::ErrorKind::ConnectionAborted => Self::Aborted,
            std::io::ErrorKind::BrokenPipe | std::io::ErrorKind::UnexpectedEof => Self::Unknown,
            _ => Self::Socket,
        }
    }
}

impl fmt::Display for DisconnectReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::GoAway(code) => return write!(f, "GOAWAY {}", CodeName(*code)),
            Self::Shutdown | Self::UsedUp | Self::Idle | Self::PeerExpired | Self::PeerRefused => {
                "subchannel shutdown"
            }
            Self::Reset => "connection reset",
            Self::TimedOut => "connection timed out",
            Self::Aborted => "connection aborted",
            Self::Socket => "socket error",
            Self::Unknown => "unknown",
        })
    }
}

/// Displays an HTTP/2 error code by its name in RFC 9113 section 7.
struct CodeName(u32);

impl fmt::Display for CodeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match CODES.get(self.0 as usize) {
            Some(name) => f.write_str(name),
            None => write!(f, "{}", self.0),
        }
    }
}

const REFUSED_STREAM: u32 = 7;
const ENHANCE_YOUR_CALM: u32 = 11;

const CODES: [&str; 14] = [
    "NO_ERROR",
    "PROTOCOL_ERROR",
    "INTERNAL_ERROR",
    "FLOW_CONTROL_ERROR",
    "SETTINGS_TIMEOUT",
    "STREAM_CLOSED",
    "FRAME_SIZE_ERROR",
    "REFUSED_STREAM",
    "CANCEL",
    "COMPRESSION_ERROR",
    "CONNECT_ERROR",
    "ENHANCE_YOUR_CALM",
    "INADEQUATE_SECURITY",
    "HTTP_1_1_REQUIRED",
];
