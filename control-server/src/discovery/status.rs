//! The status of a client in the admin API. All durations are whole seconds.

use std::collections::BTreeMap;

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
    /// The name in the client's certificate: the SPIFFE id, or else another name; empty without a certificate.
    pub identity: String,
    /// The process that sent the stream, as the client states it; most clients do not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub process: Option<ClientProcess>,
    /// How long the stream has been up.
    pub connected_seconds: u64,
    /// The worst of its types: NACKED, then PENDING, then MISSING, then SYNCED.
    pub state: SyncState,
    /// One entry per type with a request.
    pub types: Vec<TypeStatus>,
    /// Types that the client has requested and that this server does not have.
    pub unknown_types: Vec<String>,
}

/// A process, which tells apart what has one node id. It is stated by the client and proves nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientProcess {
    /// The name of its machine or container; empty if not stated.
    pub host: String,
    /// Its number there; 0 if not stated.
    pub pid: u64,
    /// The file name of its program; empty if not stated.
    pub program: String,
}

/// A summary of a connected client that costs little to make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientBrief {
    /// Numbers the streams of this server process.
    pub id: u64,
    /// The xDS node's id; empty until the first request.
    pub node_id: String,
    /// The worst of its types.
    pub state: SyncState,
}

/// The state of one type at one client.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TypeStatus {
    /// `cds`, `eds`, `leds`, `lds` or `rds`.
    pub r#type: String,
    /// The type URL.
    pub type_url: String,
    /// Whether the client has all that it subscribed to.
    pub state: SyncState,
    /// How long it has been in this state.
    pub state_seconds: u64,
    /// Why the client refused the last response; empty unless NACKED.
    pub reason: String,
    /// Subscribed to everything of this type.
    pub wildcard: bool,
    /// Subscribed names.
    pub names: Vec<String>,
    /// Subscribed names that do not exist for this client.
    pub missing: Vec<String>,
    /// For missing names, the name that exists and is nearly the same; or the same name, if it exists for other clients only.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub near: BTreeMap<String, String>,
    /// Those that were deleted after the client had them: it keeps using them.
    pub deleted: Vec<String>,
    /// Version of the last response; empty if there was none.
    pub version_sent: String,
    /// Version that the client accepted last on this stream; empty if none.
    pub version_acked: String,
}

/// Whether a client has all that it subscribed to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum SyncState {
    /// It accepted the latest of everything that it subscribed to.
    Synced,
    /// The same, but it subscribed to a name that does not exist.
    Missing,
    /// A resource has yet to be sent, or to be answered by the client.
    Pending,
    /// It refused the last response.
    Nacked,
}

impl std::fmt::Display for SyncState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Synced => "SYNCED",
            Self::Missing => "MISSING",
            Self::Pending => "PENDING",
            Self::Nacked => "NACKED",
        })
    }
}

/// What clients have refused of an object of the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// The type of the resource: `cds`, `eds`, `lds` or `rds`.
    pub r#type: String,
    /// The resource.
    pub resource: String,
    /// The client's own words.
    pub reason: String,
    /// The node of the client whose stream is oldest, or its address.
    pub client: String,
    /// How many clients say the same.
    pub clients: usize,
}

impl Refusal {
    pub(super) fn says_the_same(&self, other: &Self) -> bool {
        (&self.r#type, &self.resource, &self.reason) == (&other.r#type, &other.resource, &other.reason)
    }
}

impl std::fmt::Display for Refusal {
    /// `2 clients, greeter-1 first, refuse cds outbound|80||greeter: unsupported policy`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { r#type, resource, reason, client, clients } = self;
        match clients {
            1 => write!(f, "{client} refuses {type} {resource}: {reason}"),
            _ => write!(f, "{clients} clients, {client} first, refuse {type} {resource}: {reason}"),
        }
    }
}
