//! Active health checks.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::finding::{Finding, Findings};
use crate::kinds::ProtoDuration;
use crate::state::ClientFamily;
use crate::yaml::FieldPath;

/// How clients check endpoints while they are connected; one of `grpc`, `http` and `tcp`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct HealthCheck {
    /// By the service `grpc.health.v1.Health`.
    pub(crate) grpc: Option<GrpcCheck>,
    /// By a request over HTTP/2.
    pub(crate) http: Option<HttpCheck>,
    /// By a connection.
    pub(crate) tcp: Option<TcpCheck>,
    /// Between two checks; 10s by default.
    pub(crate) interval: Option<ProtoDuration>,
    /// For the answer; 1s by default.
    pub(crate) timeout: Option<ProtoDuration>,
    /// An endpoint gets no calls after so many failures in a row; 3 by default.
    pub(crate) unhealthy_threshold: Option<u32>,
    /// It gets calls again after so many good checks in a row; 2 by default.
    pub(crate) healthy_threshold: Option<u32>,
}

/// A call of `Check`; only `SERVING` is healthy.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct GrpcCheck {
    /// Whose health is asked for; the endpoint's as a whole by default.
    pub(crate) service: String,
}

/// A `GET`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct HttpCheck {
    /// Begins with `/`.
    pub(crate) path: String,
    /// The request's host; the cluster's name by default.
    #[serde(default)]
    pub(crate) host: String,
    /// The statuses of a healthy endpoint; 200 by default.
    #[serde(default)]
    pub(crate) expected_statuses: Vec<u32>,
}

/// A connection that is accepted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(default)]
pub(crate) struct TcpCheck {}

impl HealthCheck {
    pub(super) fn check(&self, path: &FieldPath, findings: &mut Findings) {
        let ways = [self.grpc.is_some(), self.http.is_some(), self.tcp.is_some()];
        let count = ways.into_iter().filter(|is_set| *is_set).count();
        if count != 1 {
            findings
                .error(path.clone(), format!("found {count} of grpc, http and tcp, expected one of them"));
        }
        for (field, value) in [("interval", self.interval), ("timeout", self.timeout)] {
            if value.is_some_and(|value| value.0.is_zero()) {
                findings.error(path.field(field), "found the text `0s`, expected a duration of at least 1ms");
            }
        }
        let thresholds =
            [("unhealthyThreshold", self.unhealthy_threshold), ("healthyThreshold", self.healthy_threshold)];
        for (field, value) in thresholds {
            if value == Some(0) {
                findings.error(path.field(field), "found the number 0, expected at least 1");
            }
        }
        if let Some(http) = &self.http {
            http.check(&path.field("http"), findings);
        }
        let message = "only mesh-tonic and Envoy check endpoints: other gRPC clients call all of them";
        findings.push(Finding::warning(path.clone(), message).of_clients(&[ClientFamily::Grpc]));
    }
}

impl HttpCheck {
    fn check(&self, path: &FieldPath, findings: &mut Findings) {
        if !self.path.starts_with('/') || self.path.parse::<http::uri::PathAndQuery>().is_err() {
            let message = format!("found the text `{}`, expected a path that begins with `/`", self.path);
            findings.error(path.field("path"), message);
        }
        if http::HeaderValue::from_str(&self.host).is_err() {
            findings.error(path.field("host"), "is no value of a header");
        }
        for (index, status) in self.expected_statuses.iter().enumerate() {
            if !(100..600).contains(status) {
                let message = format!("found the number {status}, expected 100 to 599");
                findings.error(path.field("expectedStatuses").index(index), message);
            }
        }
    }
}
