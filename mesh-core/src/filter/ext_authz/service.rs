//! What is asked about a call, and what is answered.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use http::{HeaderMap, Method, StatusCode};

use crate::config::{HeaderMutation, Name};
use crate::filter::ConfigValue;
use crate::peer::Peer;

/// The service that decides about calls. It is asked once per call, and may wait; the filter bounds for how long, and how many calls
/// wait for it.
pub trait CheckService: ConfigValue {
    /// Asks about a call. The future is dropped when the caller gives up, or the timeout has passed.
    fn check(&self, request: CheckRequest) -> CheckFuture;
}

/// The answer, later.
pub type CheckFuture = Pin<Box<dyn Future<Output = Result<CheckAnswer, CheckError>> + Send>>;

/// What the service is told of a call.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct CheckRequest {
    /// The request's method.
    pub method: Method,
    /// The scheme; empty: the request has none.
    pub scheme: String,
    /// Path and query.
    pub path: String,
    /// The authority of the request; on a client, the one that the target's routes have.
    pub authority: String,
    /// The headers that the configuration lets the service see.
    pub headers: HeaderMap,
    /// On a server: who calls.
    pub peer: Option<Peer>,
    /// What the configuration adds, for the service to tell calls apart.
    pub context_extensions: BTreeMap<Name, Name>,
    /// How long the filter waits for the answer.
    pub timeout: Duration,
}

impl CheckRequest {
    /// A request without headers, as a test of a service makes it; it may wait for 200 ms.
    pub fn new(method: Method, path: impl Into<String>, authority: impl Into<String>) -> Self {
        Self {
            method,
            scheme: String::new(),
            path: path.into(),
            authority: authority.into(),
            headers: HeaderMap::new(),
            peer: None,
            context_extensions: BTreeMap::new(),
            timeout: super::config::TIMEOUT,
        }
    }
}

/// What the service says about a call.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum CheckAnswer {
    /// It goes on.
    Allowed {
        /// Changes of the request's headers.
        request: Vec<HeaderMutation>,
        /// Changes of the response's headers.
        response: Vec<HeaderMutation>,
    },
    /// It ends here.
    Denied {
        /// What the caller gets; gRPC callers the code that gRPC maps it to. A status below 300 is 403 instead: a refusal never looks like
        /// success.
        status: StatusCode,
        /// For people: gRPC's status message.
        message: String,
        /// Headers of the reply.
        headers: Vec<HeaderMutation>,
    },
}

impl CheckAnswer {
    /// The call goes on as it is.
    pub fn allowed() -> Self {
        Self::Allowed { request: Vec::new(), response: Vec::new() }
    }

    /// The call ends with this status.
    pub fn denied(status: StatusCode, message: impl Into<String>) -> Self {
        Self::Denied { status, message: message.into(), headers: Vec::new() }
    }
}

/// The service has not decided. The text goes to the log, not to the caller.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct CheckError(String);

impl CheckError {
    /// Why there is no answer.
    pub fn new(reason: impl Into<String>) -> Self {
        Self(reason.into())
    }
}
