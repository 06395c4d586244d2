//! A client's state, for tests, tools and CSDS.

use mesh_core::config::Name;

use crate::protocol::{AdsState, ResourceStatus};

/// A client's state at a moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// The xDS node id.
    pub node_id: Name,
    /// The control server's URI.
    pub server: Name,
    /// Whether the control server is there (OB-09).
    pub connected: bool,
    /// Why not, if it was tried.
    pub outage: Option<String>,
    /// Every watched resource, by type and name.
    pub resources: Vec<ResourceStatus>,
}

impl Status {
    pub(super) fn of(ads: &AdsState, server: Name, node_id: Name) -> Self {
        Self {
            node_id,
            server,
            connected: ads.is_connected(),
            outage: ads.outage().map(|outage| outage.reason.to_string()),
            resources: ads.resources(),
        }
    }
}
