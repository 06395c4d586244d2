//! `/v1/status`.

use std::collections::BTreeSet;

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};

use crate::discovery::{ClientBrief, SyncState};
use crate::state::{Severity, WaitingChange};

use super::Admin;
use super::health::Readiness;

/// The server in a few numbers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerStatus {
    /// Of the control server.
    pub version: String,
    /// How long it has been up.
    pub uptime_seconds: u64,
    /// Whether clients should be sent here.
    #[serde(flatten)]
    pub readiness: Readiness,
    /// Every source has delivered its first full set.
    pub synced: bool,
    /// The revision that is served.
    pub revision: u64,
    /// Accepted objects.
    pub objects: usize,
    /// Diagnostics that are errors.
    pub errors: usize,
    /// Diagnostics that are warnings.
    pub warnings: usize,
    /// The change that waits until an operator approves it.
    #[serde(default)]
    pub waiting: Option<WaitingChange>,
    /// Open streams by state.
    pub clients: ClientCounts,
}

/// Open streams by state.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientCounts {
    /// All of them.
    pub connected: usize,
    /// How many different nodes they are: processes with one bootstrap may share a node.
    #[serde(default)]
    pub nodes: usize,
    /// They have all that they subscribed to.
    pub synced: usize,
    /// They have all that exists, and subscribed to a name that does not.
    #[serde(default)]
    pub missing: usize,
    /// A response is unanswered, or waits to be sent.
    pub pending: usize,
    /// They refused a response.
    pub nacked: usize,
}

impl ClientCounts {
    fn of(clients: &[ClientBrief]) -> Self {
        // A stream that has not said who it is counts for itself.
        let node =
            |client: &ClientBrief| (client.node_id.clone(), client.node_id.is_empty().then_some(client.id));
        let nodes: BTreeSet<_> = clients.iter().map(node).collect();
        let count = |state| clients.iter().filter(|client| client.state == state).count();
        Self {
            connected: clients.len(),
            nodes: nodes.len(),
            missing: count(SyncState::Missing),
            synced: count(SyncState::Synced),
            pending: count(SyncState::Pending),
            nacked: count(SyncState::Nacked),
        }
    }
}

pub(super) async fn status(State(admin): State<Admin>) -> Json<ServerStatus> {
    let state = admin.pipeline();
    let count = |severity| state.diagnostics.iter().filter(|found| found.severity == severity).count();
    Json(ServerStatus {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        uptime_seconds: admin.started.elapsed().as_secs(),
        readiness: Readiness::of(&admin),
        synced: state.synced,
        revision: state.revision,
        objects: state.objects.count(),
        errors: count(Severity::Error),
        warnings: count(Severity::Warning),
        waiting: state.waiting.clone(),
        clients: ClientCounts::of(&admin.registry.briefs()),
    })
}
