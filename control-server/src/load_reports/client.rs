//! The client of a stream of load reports.

use std::sync::Arc;

use xds_proto::envoy::config::core::v3::Node;

use super::limits::{MAX_NAME, MAX_NODE_ID};
use super::refusal::Refusal;

/// The kept parts of a client's node, which may be as large as a request.
#[derive(Debug, Clone, Default)]
pub(super) struct Client {
    /// The beginning of its id.
    pub(super) node_id: Arc<str>,
    /// It reports all clusters without a list of their names.
    pub(super) sends_all_clusters: bool,
}

impl Client {
    pub(super) fn of(node: &Node) -> Result<Self, Refusal> {
        if node.id.len() > MAX_NODE_ID {
            return Err(Refusal::NodeId { found: node.id.len() });
        }
        Ok(Self {
            node_id: node.id[..node.id.floor_char_boundary(MAX_NAME)].into(),
            sends_all_clusters: node.client_features.iter().any(|feature| feature == SEND_ALL_CLUSTERS),
        })
    }
}

const SEND_ALL_CLUSTERS: &str = "envoy.lrs.supports_send_all_clusters";
