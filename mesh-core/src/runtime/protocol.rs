//! What the request path asks of a protocol: everything else is shared by gRPC and HTTP.

use std::fmt::Debug;
use std::time::Duration;

use http::{HeaderMap, Response, StatusCode};

use crate::filter::LocalReply;
use crate::policy::matcher::HeaderView;
use crate::policy::outlier::FailureKind;
use crate::policy::retry::Pushback;

use super::MeshError;
use super::connect::SendBody;

/// A protocol on top of HTTP: how responses are judged, and what is written into each attempt's head.
///
/// Made for `mesh-tonic` and `mesh-hyper`; it may grow with them.
pub trait Protocol: Debug + Send + Sync + 'static {
    /// The body of requests.
    type Body: SendBody;

    /// What configured rules see of a request's headers.
    fn view(headers: &HeaderMap) -> HeaderView<'_>;

    /// The result of an attempt whose response ends with its head; `None` when the result comes later, so that the head
    /// is the caller's from now on (RT-43).
    fn classify_head(status: StatusCode, headers: &HeaderMap) -> Option<CallStatus>;

    /// How an attempt failed, as load reports and outlier detection count it; `None`: it succeeded. By the status of its
    /// response's head, and by the headers that came last. Those are the trailers, the head's where the response ends with its
    /// head, or none.
    fn failure(status: StatusCode, last: &HeaderMap) -> Option<FailureKind>;

    /// The code under which retry policies know an error that was made here.
    fn code(error: &MeshError) -> u32;

    /// The response that a filter's reply is to the caller.
    fn local_reply(reply: LocalReply) -> Response<()>;

    /// Writes into the head what is new with every attempt.
    fn stamp(headers: &mut HeaderMap, stamp: Stamp);
}

/// The result of an attempt, as retry policies see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct CallStatus {
    /// The protocol's code, as retry policies name it.
    pub code: u32,
    /// What the server says about trying again.
    pub pushback: Option<Pushback>,
}

impl CallStatus {
    /// A result with this code and, if the server has sent one, a pushback.
    pub fn new(code: u32, pushback: Option<Pushback>) -> Self {
        Self { code, pushback }
    }
}

/// What is new in an attempt's head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stamp {
    /// How many attempts failed before; transparent retries do not count (RT-44).
    pub previous_attempts: u32,
    /// What is left of the call's timeout; `None`: it has none.
    pub remaining: Option<Duration>,
}
