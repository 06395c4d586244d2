//! A snapshot of what is watched, for tests, tools and CSDS.

use mesh_core::config::Name;

/// One watched resource (TR-59, TR-63).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResourceStatus {
    /// Its type.
    pub type_url: &'static str,
    /// Its canonical name.
    pub name: Name,
    /// As CSDS says it.
    pub state: ResourceState,
    /// The version of the response that brought the value in use; empty if there is none.
    pub version: Name,
    /// What is wrong with it, if anything.
    pub error: Option<String>,
    /// Whether a value is in use, whatever the state.
    pub cached: bool,
}

/// The states of gRFC A40.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ResourceState {
    /// Asked for, no answer yet.
    Requested,
    /// The server does not have it, or did not send it in time.
    DoesNotExist,
    /// In use.
    Acked,
    /// The last one sent was refused.
    Nacked,
}
