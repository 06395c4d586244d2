//! `connectionPool`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::finding::Findings;
use crate::kinds::ProtoDuration;
use crate::yaml::FieldPath;

/// Limits of connections and calls.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(default)]
pub(crate) struct ConnectionPool {
    pub(crate) tcp: Option<Tcp>,
    pub(crate) http: Option<Http>,
}

/// Limits of connections.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Tcp {
    pub(crate) max_connections: Option<u32>,
    pub(crate) connect_timeout: Option<ProtoDuration>,
    pub(crate) tcp_keepalive: Option<TcpKeepalive>,
    pub(crate) max_connection_duration: Option<ProtoDuration>,
    pub(crate) idle_timeout: Option<ProtoDuration>,
}

/// Probes of the operating system; a missing field is the system's own value.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(default)]
pub(crate) struct TcpKeepalive {
    /// After how many unanswered probes a connection is closed.
    pub(crate) probes: Option<u32>,
    /// How long nothing arrives before the first probe.
    pub(crate) time: Option<ProtoDuration>,
    /// From probe to probe.
    pub(crate) interval: Option<ProtoDuration>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Http {
    pub(crate) http1_max_pending_requests: Option<u32>,
    /// Calls at the same time to the whole service.
    pub(crate) http2_max_requests: Option<u32>,
    pub(crate) max_requests_per_connection: Option<u32>,
    pub(crate) max_retries: Option<u32>,
    pub(crate) idle_timeout: Option<ProtoDuration>,
    h2_upgrade_policy: Option<H2UpgradePolicy>,
    use_client_protocol: Option<bool>,
    pub(crate) max_concurrent_streams: Option<u32>,
    pub(crate) http2_keep_alive: Option<Http2KeepAlive>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum H2UpgradePolicy {
    Default,
    DoNotUpgrade,
    Upgrade,
}

/// Pings of HTTP/2.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(default)]
pub(crate) struct Http2KeepAlive {
    /// From ping to ping; 0 is none.
    pub(crate) interval: Option<ProtoDuration>,
    /// How long an answer may take.
    pub(crate) timeout: Option<ProtoDuration>,
}

impl ConnectionPool {
    pub(crate) fn check(&self, path: &FieldPath, findings: &mut Findings) {
        if self.http.as_ref().and_then(|http| http.http2_max_requests) == Some(0) {
            let path = path.field("http").field("http2MaxRequests");
            findings.warning(path, "a limit of 0 lets no call pass");
        }
    }
}
