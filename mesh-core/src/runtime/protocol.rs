//! The parts of the request path in which gRPC and HTTP differ.

use std::fmt::Debug;
use std::time::Duration;

use http::{HeaderMap, Response, StatusCode, request};

use crate::filter::LocalReply;
use crate::policy::matcher::HeaderView;
use crate::policy::outlier::FailureKind;
use crate::policy::retry::Pushback;

use super::MeshError;
use super::connect::SendBody;

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

    /// A server's reply to a request that is none of this protocol's; `None`: the request goes on to routes and filters.
    fn refuse(_head: &request::Parts) -> Option<LocalReply> {
        None
    }

    /// How long a caller waits for a response, as the request says.
    fn timeout(_headers: &HeaderMap) -> Option<Duration> {
        None
    }

    /// Writes the headers that differ for every attempt.
    fn stamp(headers: &mut HeaderMap, stamp: Stamp);
}

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
}
