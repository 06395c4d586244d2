//! `trafficPolicy` of a `DestinationRule`: load balancing, limits, outliers, TLS.

mod load_balancer;
mod outlier;
mod pool;
mod tls;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ProtoDuration;
use super::check;
use super::effect::Effect;

use crate::finding::Findings;
use crate::state::ClientFamily;
use crate::yaml::FieldPath;

pub(crate) use load_balancer::{ConsistentHash, LoadBalancer, Simple};
pub(crate) use outlier::OutlierDetection;
pub(crate) use pool::ConnectionPool;
pub(crate) use tls::{ClientTls, TlsMode};

/// A policy of a host or of a subset.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct TrafficPolicy {
    pub(crate) load_balancer: Option<LoadBalancer>,
    pub(crate) connection_pool: Option<ConnectionPool>,
    pub(crate) outlier_detection: Option<OutlierDetection>,
    pub(crate) tls: Option<ClientTls>,
    pub(crate) port_level_settings: Vec<PortPolicy>,
    tunnel: Option<Tunnel>,
    proxy_protocol: Option<ProxyProtocol>,
    pub(crate) retry_budget: Option<RetryBudget>,
}

/// A policy of one port; it inherits nothing from the policy around it.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PortPolicy {
    pub(crate) port: PortSelector,
    pub(crate) load_balancer: Option<LoadBalancer>,
    pub(crate) connection_pool: Option<ConnectionPool>,
    pub(crate) outlier_detection: Option<OutlierDetection>,
    pub(crate) tls: Option<ClientTls>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub(crate) struct PortSelector {
    pub(crate) number: u32,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Tunnel {
    #[serde(default, skip_serializing_if = "String::is_empty")]
    protocol: String,
    target_host: String,
    target_port: u32,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(default)]
struct ProxyProtocol {
    version: Option<String>,
}

/// The share of calls in flight that may be retries.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct RetryBudget {
    pub(crate) percent: Option<f64>,
    pub(crate) min_retry_concurrency: Option<u32>,
    pub(crate) budget_interval: Option<ProtoDuration>,
}

impl TrafficPolicy {
    pub(super) fn check(&self, path: &FieldPath, findings: &mut Findings) {
        let parts = Parts {
            lb: &self.load_balancer,
            pool: &self.connection_pool,
            outlier: &self.outlier_detection,
            tls: &self.tls,
        };
        parts.check(path, findings);
        let ports = path.field("portLevelSettings");
        for (index, policy) in self.port_level_settings.iter().enumerate() {
            let path = ports.index(index);
            check::port(policy.port.number, &path.field("port").field("number"), findings);
            let parts = Parts {
                lb: &policy.load_balancer,
                pool: &policy.connection_pool,
                outlier: &policy.outlier_detection,
                tls: &policy.tls,
            };
            parts.check(&path, findings);
        }
        let numbers = self.port_level_settings.iter().map(|policy| policy.port.number);
        check::unique(numbers, |index| ports.index(index).field("port").field("number"), findings);
        if self.tunnel.is_some() {
            findings.unsupported(path.field("tunnel"), "rejected because gRPC clients cannot tunnel calls");
        }
        if self.proxy_protocol.is_some() {
            findings.unsupported(
                path.field("proxyProtocol"),
                "rejected because gRPC clients do not speak the PROXY protocol",
            );
        }
        if let Some(percent) = self.retry_budget.as_ref().and_then(|budget| budget.percent) {
            check::percent(percent, &path.field("retryBudget").field("percent"), findings);
        }
    }
}

/// The common parts of a policy and a policy of a port.
struct Parts<'a> {
    lb: &'a Option<LoadBalancer>,
    pool: &'a Option<ConnectionPool>,
    outlier: &'a Option<OutlierDetection>,
    tls: &'a Option<ClientTls>,
}

impl Parts<'_> {
    fn check(&self, path: &FieldPath, findings: &mut Findings) {
        if let Some(lb) = self.lb {
            lb.check(&path.field("loadBalancer"), findings);
        }
        if let Some(pool) = self.pool {
            pool.check(&path.field("connectionPool"), findings);
        }
        if let Some(outlier) = self.outlier {
            outlier.check(&path.field("outlierDetection"), findings);
        }
        if let Some(tls) = self.tls {
            tls.check(&path.field("tls"), findings);
        }
    }
}

const BY_WEIGHT: &str = "not applied: every client sees all endpoints, spread by their weights";
const CONNECTIONS: &str =
    "ignored by gRPC clients: they have no such limit on connections; mesh-tonic and Envoy have it";
const NO_CLIENT: &str = "ignored by gRPC clients, and not sent to others";
const GRPC: &[ClientFamily] = &[ClientFamily::Grpc];
const OUTLIER: &str = "only mesh-tonic and Envoy use it: other gRPC clients count failed calls only";

/// Relative to a policy of a host, a subset or a port.
pub(super) const EFFECTS: &[Effect] = &[
    Effect {
        field: "retryBudget",
        message: "ignored by gRPC clients: they have a budget of their own",
        clients: &[],
    },
    Effect { field: "loadBalancer.zoneAwareLbSetting", message: BY_WEIGHT, clients: &[] },
    Effect {
        field: "loadBalancer.warmup",
        message: "ignored by gRPC clients: a new endpoint gets its full share at once",
        clients: &[],
    },
    Effect {
        field: "loadBalancer.warmupDurationSecs",
        message: "ignored by gRPC clients: a new endpoint gets its full share at once",
        clients: &[],
    },
    Effect { field: "connectionPool.tcp.maxConnections", message: CONNECTIONS, clients: GRPC },
    Effect { field: "connectionPool.tcp.connectTimeout", message: CONNECTIONS, clients: GRPC },
    Effect { field: "connectionPool.tcp.idleTimeout", message: CONNECTIONS, clients: GRPC },
    Effect { field: "connectionPool.tcp.tcpKeepalive", message: NO_CLIENT, clients: &[] },
    Effect { field: "connectionPool.tcp.maxConnectionDuration", message: NO_CLIENT, clients: &[] },
    Effect { field: "connectionPool.http.http1MaxPendingRequests", message: NO_CLIENT, clients: &[] },
    Effect { field: "connectionPool.http.maxRequestsPerConnection", message: CONNECTIONS, clients: GRPC },
    Effect {
        field: "connectionPool.http.maxRetries",
        message: "ignored by gRPC clients: they have no such limit",
        clients: &[],
    },
    Effect { field: "connectionPool.http.idleTimeout", message: CONNECTIONS, clients: GRPC },
    Effect {
        field: "connectionPool.http.h2UpgradePolicy",
        message: "ignored by gRPC clients: they always use HTTP/2",
        clients: &[],
    },
    Effect {
        field: "connectionPool.http.useClientProtocol",
        message: "ignored by gRPC clients: they always use HTTP/2",
        clients: &[],
    },
    Effect { field: "connectionPool.http.maxConcurrentStreams", message: CONNECTIONS, clients: GRPC },
    Effect {
        field: "connectionPool.http.http2KeepAlive",
        message: "ignored by gRPC clients: they have a setting of their own",
        clients: &[],
    },
    Effect {
        field: "outlierDetection.splitExternalLocalOriginErrors",
        message: OUTLIER,
        clients: &[ClientFamily::Grpc],
    },
    Effect {
        field: "outlierDetection.consecutiveLocalOriginFailures",
        message: OUTLIER,
        clients: &[ClientFamily::Grpc],
    },
    Effect {
        field: "outlierDetection.outlierDetectionHttpErrorCodes",
        message: "only Envoy uses it: gRPC clients judge the status of gRPC, not that of HTTP",
        clients: &[ClientFamily::Grpc, ClientFamily::MeshTonic],
    },
    Effect {
        field: "outlierDetection.minHealthPercent",
        message: "only Envoy uses it: gRPC clients have no panic threshold",
        clients: &[ClientFamily::Grpc, ClientFamily::MeshTonic],
    },
];
