//! What the admin API tells of a client. All durations are whole seconds.

use serde::{Deserialize, Serialize};

use crate::connection::Security;

/// A connected client: one ADS stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientStatus {
    /// Numbers the streams of this server process.
    pub id: u64,
    /// The xDS node's id; empty until the first request.
    pub node_id: String,
    /// The node's cluster; often empty.
    pub node_cluster: String,
    /// `region/zone/sub_zone`; empty if the node has no locality.
    pub locality: String,
    /// For example `gRPC Go`.
    pub user_agent: String,
    /// Its version.
    pub user_agent_version: String,
    /// The address that the stream comes from; empty if unknown.
    pub peer: String,
    /// How the connection is secured.
    pub security: Security,
    /// Who the client's certificate says that it is: the SPIFFE id, or else another name of it; empty without one.
    pub identity: String,
    /// How long the stream has been up.
    pub connected_seconds: u64,
    /// The worst of its types: NACKED, then PENDING, then SYNCED.
    pub state: SyncState,
    /// One entry per type that the client has asked for.
    pub types: Vec<TypeStatus>,
    /// Types that the client asked for and that are not served here.
    pub unknown_types: Vec<String>,
}

/// A connected client in few words: what it costs nothing to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientBrief {
    /// Numbers the streams of this server process.
    pub id: u64,
    /// The xDS node's id; empty until the first request.
    pub node_id: String,
    /// The worst of its types.
    pub state: SyncState,
}

/// How one type stands with one client.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TypeStatus {
    /// `cds`, `eds`, `leds`, `lds` or `rds`.
    pub r#type: String,
    /// The type URL.
    pub type_url: String,
    /// Whether the client has what it asked for.
    pub state: SyncState,
    /// How long it has been in this state.
    pub state_seconds: u64,
    /// Why the client refused the last response; empty unless NACKED.
    pub reason: String,
    /// Subscribed to everything of this type.
    pub wildcard: bool,
    /// Subscribed names.
    pub names: Vec<String>,
    /// Subscribed names that do not exist.
    pub missing: Vec<String>,
    /// Those of them that the client was given and that were deleted since: it goes on with what it had.
    pub deleted: Vec<String>,
    /// Version of the last response; empty if there was none.
    pub version_sent: String,
    /// Version that the client accepted last on this stream; empty if none.
    pub version_acked: String,
}

/// Whether a client has what it asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum SyncState {
    /// It accepted the latest of everything that exists.
    Synced,
    /// Something has yet to be sent, or to be answered by the client.
    Pending,
    /// It refused the last response.
    Nacked,
}

impl std::fmt::Display for SyncState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Synced => "SYNCED",
            Self::Pending => "PENDING",
            Self::Nacked => "NACKED",
        })
    }
}
