//! What is known of attempts and calls when they end.

use std::net::SocketAddr;
use std::time::Duration;

use crate::config::{LocalityId, Name};

/// The method of a call, and the target of its channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct ObservedMethod<'a> {
    /// The target's URI: `xds:///greeter`.
    pub target: &'a Name,
    /// The full name without a leading slash: `mesh.examples.v1.Greeter/SayHello`.
    pub method: &'a Name,
    /// Whether the name comes from generated code.
    pub kind: MethodKind,
    /// The [`CallLabel`] of the call; empty if it has none.
    pub label: &'a str,
}

/// A label that a program gives a call by putting it among the extensions of the request (gRFC A108): metrics show it if they are asked to. Each
/// value costs memory until the end of the program, so there may be only a bounded number of them.
// OB-16
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallLabel(pub Name);

impl<'a> ObservedMethod<'a> {
    pub(crate) fn new(target: &'a Name, method: &'a Name, kind: MethodKind, label: &'a str) -> Self {
        Self { target, method, kind, label }
    }
}

/// Where the name of a method comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum MethodKind {
    /// From generated code: there are only so many names.
    Registered,
    /// From anywhere, for example from requests that a proxy passes on: there may be any number of names.
    Generic,
}

/// An attempt that has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct AttemptRecord<'a> {
    /// The call's method.
    pub method: ObservedMethod<'a>,
    /// The locality of its endpoint; `None`: it had no endpoint.
    pub locality: Option<&'a LocalityId>,
    /// The cluster of its endpoint; `None`: it had no endpoint.
    pub cluster: Option<&'a Name>,
    /// Its endpoint.
    pub endpoint: Option<SocketAddr>,
    /// The status as the protocol's number: of gRPC's codes.
    pub status: u32,
    /// From the pick of the endpoint to the end.
    pub duration: Duration,
    /// The bytes of the messages that were sent, compressed as they were, without headers, prefixes and frames.
    pub sent: u64,
    /// The bytes of the messages that were received, counted in the same way.
    pub received: u64,
}

/// A call that has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct CallRecord<'a> {
    /// The call's method.
    pub method: ObservedMethod<'a>,
    /// The status as the protocol's number: of gRPC's codes.
    pub status: u32,
    /// From the start of the call to its status.
    pub duration: Duration,
    /// The attempts that it took.
    pub counts: AttemptCounts,
    /// Where its last attempt went; `None`: it had no endpoint.
    pub place: Option<CallPlace>,
}

/// The attempts of a call.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct AttemptCounts {
    /// How many have begun.
    pub attempts: u32,
    /// How many of them were retries by the route's policy.
    pub retries: u32,
    /// How many of them repeated one that was not processed.
    pub transparent_retries: u32,
    /// How many of them were hedges.
    pub hedges: u32,
    /// The time between attempts in which none ran.
    pub delay: Duration,
}

/// Where an attempt went.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct CallPlace {
    /// The cluster.
    pub cluster: Name,
    /// The endpoint's first address.
    pub endpoint: SocketAddr,
}

impl CallPlace {
    pub(crate) fn new(cluster: &Name, endpoint: SocketAddr) -> Self {
        Self { cluster: cluster.clone(), endpoint }
    }
}

impl<'a> CallRecord<'a> {
    pub(crate) fn new(
        method: ObservedMethod<'a>,
        status: u32,
        duration: Duration,
        (counts, place): (AttemptCounts, Option<CallPlace>),
    ) -> Self {
        Self { method, status, duration, counts, place }
    }
}

impl<'a> AttemptRecord<'a> {
    /// An attempt without an endpoint.
    pub(crate) fn unplaced(method: ObservedMethod<'a>, status: u32, duration: Duration) -> Self {
        Self { method, locality: None, cluster: None, endpoint: None, status, duration, sent: 0, received: 0 }
    }
}
