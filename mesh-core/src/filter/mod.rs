//! HTTP filters: what looks at a call's head, response head and trailers between routing and load balancing (gRFC A39).
//!
//! ```text
//!  request   ──▶ route and cluster ──▶ first filter ──▶ .. ──▶ last filter ──▶ load balancing, retries
//!  response  ◀──────────────────────── first filter ◀── .. ◀── last filter ◀── head and trailers of the last attempt
//! ```
//!
//! A filter is made from a [`FilterConfig`], once for all calls that share a configuration: it is one of the listener's
//! [`FilterInstance`](crate::config::FilterInstance)s, to which virtual host, route and weighted cluster can each hand an
//! override. This module knows nothing of the runtime that takes calls through a chain.
//!
//! Invariants:
//! - a chain runs once per call, not once per attempt, and an empty one costs nothing;
//! - a filter boxes only if it waits;
//! - a configuration that makes no filter because it is wrong fails the calls of its routes; it is never left out.
// HF-04

mod action;
mod call;
mod chain;
mod compile;
mod context;
mod ext_authz;
mod fault;
mod header_mutation;
mod jwt;
mod overrides;
mod rate_limit;
mod rbac;
mod stateful_session;
#[cfg(test)]
mod tests;

use std::fmt::Debug;
use std::ops::BitOr;
use std::sync::Arc;

use http::{HeaderMap, request, response};

use crate::config::Name;

pub use crate::policy::fault::{
    Abort, AbortSource, AbortStatus, Delay, DelaySource, FaultPolicy, MaxActiveFaults, Percentage,
};
pub use crate::policy::matcher::DynamicMetadata;
pub use crate::policy::rate_limit::{
    DescriptorAction, DescriptorLimit, DescriptorRule, InvalidLimit, RateLimitPolicy, RateLimitRefusal,
    TokenLimit,
};
pub use action::{LocalReply, LocalStatus, RequestAction, Resume};
pub use call::FilterCall;
pub(crate) use call::{AnsweredBy, CallFilters, CallPath, PreferredEndpoint, Progress, RouteFilters};
pub(crate) use chain::FilterChain;
pub(crate) use compile::{ChainCompiler, FilterScope, Level};
pub use context::FilterContext;
pub use ext_authz::{
    CheckAnswer, CheckError, CheckFuture, CheckRequest, CheckService, ExtAuthzConfig, ExtAuthzOverride,
    MutationRules, OnFailure,
};
pub use header_mutation::{HeaderMutationConfig, HeaderMutationOverride};
pub use jwt::{JwtConfig, JwtOverride, JwtRule};
pub(crate) use jwt::{RemoteKeySet, RemoteKeySets};
pub use overrides::{ConfigValue, Overrides};
pub use rbac::{
    AllowedBy, Audit, AuditCondition, AuditEntry, AuditLogger, RbacConfig, RbacOverride, StdoutAuditLogger,
};
pub use stateful_session::{
    LostSession, SessionCookie, SessionState, StatefulSession, StatefulSessionOverride,
};

/// A filter of HTTP calls. One value serves many calls at once; what belongs to one call is kept in
/// [`FilterCall::state`].
///
/// ```
/// use http::{HeaderValue, request};
/// use mesh_core::filter::{FilterCall, HttpFilter, RequestAction, Stages};
///
/// /// Tells endpoints which route took the call.
/// #[derive(Debug)]
/// struct TellRoute;
///
/// impl HttpFilter for TellRoute {
///     fn stages(&self) -> Stages {
///         Stages::REQUEST
///     }
///
///     fn on_request(&self, head: &mut request::Parts, call: &mut FilterCall<'_>) -> RequestAction {
///         if let Ok(route) = HeaderValue::from_str(call.route()) {
///             head.headers.insert("x-route", route);
///         }
///         RequestAction::Continue
///     }
/// }
/// ```
pub trait HttpFilter: Debug + Send + Sync + 'static {
    /// Which of the methods below do something; the others are not called. Asked once, when the chain is made. All, by
    /// default.
    fn stages(&self) -> Stages {
        Stages::ALL
    }

    /// The cluster that the call should go to: one of its route's, else the answer is ignored. Asked with [`Stages::CLUSTER`] only.
    fn wanted_cluster(&self, _path: &str, _headers: &HeaderMap) -> Option<Name> {
        None
    }

    /// The request's head, after its route and cluster have been chosen and before anything is sent. What is changed
    /// here goes on the wire with every attempt; it does not change the route.
    fn on_request(&self, _head: &mut request::Parts, _call: &mut FilterCall<'_>) -> RequestAction {
        RequestAction::Continue
    }

    /// The head of the response that the caller gets: from an endpoint, or the reply of a later filter of the chain. A
    /// gRPC response without messages has its status here, and no trailers. Calls that fail without a response do not
    /// come here.
    fn on_response(&self, _head: &mut response::Parts, _call: &mut FilterCall<'_>) {}

    /// The response's trailers, where it has any.
    fn on_trailers(&self, _trailers: &mut HeaderMap, _call: &mut FilterCall<'_>) {}
}

/// A filter's configuration: typed, validated, and comparable, so that an update that changes nothing is known as one.
///
/// A configuration is a value that implements `Debug` and `PartialEq`; see [`ConfigValue`].
pub trait FilterConfig: ConfigValue {
    /// The filter for calls with these overrides. Called when a configuration is taken into use, never per call.
    ///
    /// `None`: with this configuration there is nothing to do, and the chain goes on without it.
    ///
    /// # Errors
    /// A [`BuildError`] fails the calls that the filter was for: it is not left out.
    fn build(
        &self,
        overrides: Overrides<'_>,
        context: &FilterContext,
    ) -> Result<Option<Arc<dyn HttpFilter>>, BuildError>;
}

/// Why a configuration makes no filter. Calls that the filter was for fail with this text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BuildError(String);

impl BuildError {
    /// What is wrong.
    pub fn new(reason: impl Into<String>) -> Self {
        Self(reason.into())
    }
}

/// Which parts of a call a filter takes part in; combine them with `|`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Stages(u8);

impl Stages {
    /// No part: the filter is left out.
    pub const NONE: Self = Self(0);
    /// The request's head.
    pub const REQUEST: Self = Self(1);
    /// The response's head.
    pub const RESPONSE: Self = Self(1 << 1);
    /// The response's trailers.
    pub const TRAILERS: Self = Self(1 << 2);
    /// The choice of the cluster, before the request's head.
    pub const CLUSTER: Self = Self(1 << 3);
    /// All of them but the choice of the cluster.
    pub const ALL: Self = Self(Self::REQUEST.0 | Self::RESPONSE.0 | Self::TRAILERS.0);

    /// Whether some part is among both.
    pub const fn intersects(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}

impl BitOr for Stages {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}
