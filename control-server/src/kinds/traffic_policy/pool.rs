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
    tcp_keepalive: Option<TcpKeepalive>,
    max_connection_duration: Option<ProtoDuration>,
    pub(crate) idle_timeout: Option<ProtoDuration>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(default)]
struct TcpKeepalive {
    probes: Option<u32>,
    time: Option<ProtoDuration>,
    interval: Option<ProtoDuration>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Http {
    http1_max_pending_requests: Option<u32>,
    /// Calls at the same time to the whole service.
    pub(crate) http2_max_requests: Option<u32>,
    pub(crate) max_requests_per_connection: Option<u32>,
    max_retries: Option<u32>,
    pub(crate) idle_timeout: Option<ProtoDuration>,
    h2_upgrade_policy: Option<H2UpgradePolicy>,
    use_client_protocol: Option<bool>,
    pub(crate) max_concurrent_streams: Option<u32>,
    http2_keep_alive: Option<Http2KeepAlive>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum H2UpgradePolicy {
    Default,
    DoNotUpgrade,
    Upgrade,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(default)]
struct Http2KeepAlive {
    interval: Option<ProtoDuration>,
    timeout: Option<ProtoDuration>,
}

impl ConnectionPool {
    pub(super) fn check(&self, path: &FieldPath, findings: &mut Findings) {
        if self.http.as_ref().and_then(|http| http.http2_max_requests) == Some(0) {
            let path = path.field("http").field("http2MaxRequests");
            findings.warning(path, "a limit of 0 lets no call pass");
        }
    }
}
