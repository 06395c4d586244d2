//! The watched resources at one moment, for tests, tools and CSDS.

use std::time::Instant;

use bytes::Bytes;
use mesh_core::config::Name;

use super::ServerId;

/// One watched resource.
// TR-59, TR-63
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ResourceStatus {
    /// Its type.
    pub type_url: &'static str,
    /// Its canonical name.
    pub name: Name,
    /// Its state in CSDS.
    pub state: ResourceState,
    /// The version of the response with the value in use; empty if there is none.
    pub version: Name,
    /// What is wrong with it, if anything.
    pub error: Option<String>,
    /// The version that was refused last, and when; `None` after a later answer.
    pub rejected: Option<(Name, Instant)>,
    /// Whether a value is in use, whatever the state.
    pub cached: bool,
    /// Whether the value in use was read from a snapshot of an earlier run.
    pub stale: bool,
    /// The message in use, as it was received; a collection has none.
    pub bytes: Option<Bytes>,
    /// When the value in use was received.
    pub updated: Option<Instant>,
    /// The server that sent it.
    pub server: Option<ServerId>,
}

/// The states of gRFC A40 and A88.
// TR-62
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum ResourceState {
    /// Requested, no answer yet.
    Requested,
    /// The server does not have the resource, or did not send it in time.
    DoesNotExist,
    /// In use.
    Acked,
    /// The last version was refused.
    Nacked,
    /// The server said why it does not send the resource.
    ReceivedError,
    /// The resource did not come in time, and the server counts as slow.
    Timeout,
}

/// How often resources of one type were accepted and refused.
// OB-08
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct UpdateCounts {
    /// Valid resources, unchanged ones too.
    // OB-09
    pub valid: u64,
    /// Refused resources.
    pub invalid: u64,
}
