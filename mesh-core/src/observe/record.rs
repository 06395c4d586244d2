//! What is known of attempts and calls when they end.

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
}

impl<'a> ObservedMethod<'a> {
    pub(crate) fn new(target: &'a Name, method: &'a Name, kind: MethodKind) -> Self {
        Self { target, method, kind }
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
    /// How many attempts began.
    pub attempts: u32,
}

impl<'a> AttemptRecord<'a> {
    /// An attempt without an endpoint.
    pub(crate) fn unplaced(method: ObservedMethod<'a>, status: u32, duration: Duration) -> Self {
        Self { method, locality: None, cluster: None, status, duration, sent: 0, received: 0 }
    }
}
