//! The state of every resource of a client, for the admin API.

use std::time::Instant;

use serde::{Deserialize, Serialize};

use super::stream::Entry;

/// What one client has been sent, resource by resource.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientConfig {
    /// Numbers the streams of this server process.
    pub id: u64,
    /// The xDS node's id.
    pub node_id: String,
    /// By type and name.
    pub resources: Vec<ResourceConfig>,
}

/// The state of one resource at one client.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResourceConfig {
    /// `cds`, `eds`, `leds`, `lds` or `rds`.
    pub r#type: String,
    /// The type URL.
    pub type_url: String,
    /// Its name.
    pub name: String,
    /// Its state.
    pub state: ConfigState,
    /// The version that was sent last on this stream; empty if none was.
    pub version_sent: String,
    /// Version that the client accepted last, or says that it has from an earlier stream; empty if none.
    pub version_acked: String,
    /// How long ago this version was sent, in whole seconds; `None` if it was not.
    pub sent_seconds: Option<u64>,
    /// No resource of this name exists.
    pub missing: bool,
    /// Why the client has refused it; of its response, if that had several resources. Empty otherwise.
    pub reason: String,
}

/// The state of a resource at a client: the `ConfigStatus` of CSDS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ConfigState {
    /// The client has accepted it.
    Synced,
    /// It has not been sent, most often because no resource of this name exists.
    NotSent,
    /// It has been sent; the client has not answered.
    Stale,
    /// The client has refused it.
    Error,
}

impl ResourceConfig {
    pub(super) fn of(now: Instant, entry: &Entry) -> Self {
        let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
        Self {
            r#type: entry.kind.short_name().to_owned(),
            type_url: entry.kind.type_url().to_owned(),
            name: entry.name.as_ref().to_owned(),
            state: entry.state,
            version_sent: text(entry.version.as_deref()),
            version_acked: text(entry.accepted.as_deref()),
            sent_seconds: entry.sent.map(|sent| now.saturating_duration_since(sent).as_secs()),
            missing: entry.is_missing,
            reason: text(entry.reason.as_deref()),
        }
    }
}
