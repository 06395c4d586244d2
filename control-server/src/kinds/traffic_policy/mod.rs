//! `trafficPolicy` of a `DestinationRule`: load balancing, limits, outliers, TLS.

mod consistent_hash;
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

pub(crate) use consistent_hash::ConsistentHash;
pub(crate) use load_balancer::{Failover, LoadBalancer, Simple, Warmup};
pub(crate) use outlier::OutlierDetection;
pub(crate) use pool::{ConnectionPool, Http2KeepAlive, TcpKeepalive};
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

const CONNECTIONS: &str =
    "ignored by gRPC clients: they have no such limit on connections; mesh-tonic and Envoy have it";
const KEEPALIVE: &str = "only mesh-tonic and Envoy use it: other gRPC clients have a setting of their own";
const ONLY_ENVOY: &str = "only Envoy has it: gRPC clients ignore it";
const HTTP2: &str = "ignored by gRPC clients: they always use HTTP/2";
const RETRIES: &str =
    "only mesh-tonic and Envoy use it: other gRPC clients do not limit the retries of a cluster";
const PENDING: &str =
    "only mesh-tonic and Envoy use it: other gRPC clients do not limit the calls that wait for a connection";
const GRPC: &[ClientFamily] = &[ClientFamily::Grpc];
const WITHOUT_ENVOY: &[ClientFamily] = &[ClientFamily::Grpc, ClientFamily::MeshTonic];
const OUTLIER: &str = "only mesh-tonic and Envoy use it: other gRPC clients count failed calls only";

/// A field without effect for some clients.
const fn of(field: &'static str, message: &'static str, clients: &'static [ClientFamily]) -> Effect {
    Effect { field, message, clients }
}

/// Relative to a policy of a host, a subset or a port.
pub(super) const EFFECTS: &[Effect] =
    &[of("loadBalancer.zoneAwareLbSetting.failoverPriority", "not applied: regions go by failover", &[])];

/// The same, of what our own policies have as well.
pub(crate) const POOL_EFFECTS: &[Effect] = &[
    of("retryBudget", RETRIES, GRPC),
    of("retryBudget.budgetInterval", "not sent to any client", &[]),
    of(
        "connectionPool.tcp.maxConnections",
        "only Envoy has the limit: gRPC clients have one connection to each endpoint",
        WITHOUT_ENVOY,
    ),
    of("connectionPool.tcp.connectTimeout", CONNECTIONS, GRPC),
    of("connectionPool.tcp.idleTimeout", CONNECTIONS, GRPC),
    of("connectionPool.tcp.tcpKeepalive", KEEPALIVE, GRPC),
    of("connectionPool.tcp.maxConnectionDuration", ONLY_ENVOY, WITHOUT_ENVOY),
    of("connectionPool.http.http1MaxPendingRequests", PENDING, GRPC),
    of("connectionPool.http.maxRequestsPerConnection", CONNECTIONS, GRPC),
    of("connectionPool.http.maxRetries", RETRIES, GRPC),
    of("connectionPool.http.idleTimeout", CONNECTIONS, GRPC),
    of("connectionPool.http.h2UpgradePolicy", HTTP2, &[]),
    of("connectionPool.http.useClientProtocol", HTTP2, &[]),
    of("connectionPool.http.maxConcurrentStreams", CONNECTIONS, GRPC),
    of("connectionPool.http.http2KeepAlive", KEEPALIVE, GRPC),
    of("outlierDetection.splitExternalLocalOriginErrors", OUTLIER, GRPC),
    of("outlierDetection.consecutiveLocalOriginFailures", OUTLIER, GRPC),
    of(
        "outlierDetection.outlierDetectionHttpErrorCodes",
        "only Envoy uses it: gRPC clients judge the status of gRPC, not that of HTTP",
        WITHOUT_ENVOY,
    ),
    of(
        "outlierDetection.minHealthPercent",
        "only Envoy uses it: gRPC clients have no panic threshold",
        WITHOUT_ENVOY,
    ),
];
