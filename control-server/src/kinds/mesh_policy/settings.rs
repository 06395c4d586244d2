//! The settings of a policy. What is not set is left to other policies.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::balancer::Balancer;
use super::calls::{CallRetry, Hedging};
use super::health_check::HealthCheck;
use crate::finding::Findings;
use crate::kinds::effect::Effect;
use crate::kinds::traffic_policy::{ConnectionPool, OutlierDetection, POOL_EFFECTS, RetryBudget};
use crate::kinds::{ProtoDuration, check};
use crate::yaml::FieldPath;

/// Settings of calls and of clusters.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct PolicySettings {
    /// For the whole call over all attempts; 0s is none.
    pub(crate) timeout: Option<ProtoDuration>,
    pub(crate) retry: Option<CallRetry>,
    pub(crate) hedging: Option<Hedging>,
    pub(crate) load_balancer: Option<Balancer>,
    /// As in a `DestinationRule`.
    pub(crate) connection_pool: Option<ConnectionPool>,
    /// As in a `DestinationRule`.
    pub(crate) outlier_detection: Option<OutlierDetection>,
    /// As in a `DestinationRule`.
    pub(crate) retry_budget: Option<RetryBudget>,
    pub(crate) health_check: Option<HealthCheck>,
}

/// Fields without effect for some clients.
pub(crate) const EFFECTS: &[Effect] = POOL_EFFECTS;

impl PolicySettings {
    pub(super) fn check(&self, path: &FieldPath, findings: &mut Findings) {
        if let Some(retry) = &self.retry {
            retry.check(&path.field("retry"), findings);
        }
        if let Some(hedging) = &self.hedging {
            hedging.check(&path.field("hedging"), findings);
        }
        if self.retry.is_some() && self.hedging.is_some() {
            let message =
                "found both retry and hedging, expected one of them: hedging has conditions of its own";
            findings.error(path.field("hedging"), message);
        }
        if let Some(balancer) = &self.load_balancer {
            balancer.check(&path.field("loadBalancer"), findings);
        }
        if let Some(pool) = &self.connection_pool {
            pool.check(&path.field("connectionPool"), findings);
        }
        if let Some(outlier) = &self.outlier_detection {
            outlier.check(&path.field("outlierDetection"), findings);
        }
        if let Some(check) = &self.health_check {
            check.check(&path.field("healthCheck"), findings);
        }
        if let Some(percent) = self.retry_budget.as_ref().and_then(|budget| budget.percent) {
            check::percent(percent, &path.field("retryBudget").field("percent"), findings);
        }
    }

    /// The fields that are set, in the order of their names in the guide.
    pub(crate) fn set_fields(&self) -> impl Iterator<Item = &'static str> {
        let rows = [
            ("timeout", self.timeout.is_some()),
            ("retry", self.retry.is_some()),
            ("hedging", self.hedging.is_some()),
            ("loadBalancer", self.load_balancer.is_some()),
            ("connectionPool", self.connection_pool.is_some()),
            ("outlierDetection", self.outlier_detection.is_some()),
            ("retryBudget", self.retry_budget.is_some()),
            ("healthCheck", self.health_check.is_some()),
        ];
        rows.into_iter().filter(|(_, is_set)| *is_set).map(|(name, _)| name)
    }

    pub(super) fn warn_of_cluster_settings(&self, path: &FieldPath, findings: &mut Findings) {
        for field in self.set_fields().filter(|field| !OF_CALLS.contains(field)) {
            let message = "has no effect on a route: it belongs to a service, a namespace or the mesh";
            findings.warning(path.field(field), message);
        }
    }
}

const OF_CALLS: [&str; 3] = ["timeout", "retry", "hedging"];
