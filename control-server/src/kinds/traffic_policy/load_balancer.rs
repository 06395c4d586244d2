//! `loadBalancer`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ConsistentHash;
use crate::finding::{Finding, Findings};
use crate::kinds::{ProtoDuration, check};
use crate::state::ClientFamily;
use crate::yaml::FieldPath;

/// How an endpoint is chosen.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct LoadBalancer {
    pub(crate) simple: Option<Simple>,
    pub(crate) consistent_hash: Option<ConsistentHash>,
    pub(crate) locality_lb_setting: Option<LocalityLbSetting>,
    pub(crate) zone_aware_lb_setting: Option<ZoneAwareLbSetting>,
    pub(crate) warmup: Option<Warmup>,
    warmup_duration_secs: Option<ProtoDuration>,
}

/// One without state between calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum Simple {
    Unspecified,
    RoundRobin,
    LeastRequest,
    LeastConn,
    Random,
    Passthrough,
}

/// Where calls go, by the localities of client and endpoints: one of distribute, failover and failoverPriority.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct LocalityLbSetting {
    pub(crate) enabled: Option<bool>,
    pub(crate) distribute: Vec<Distribute>,
    pub(crate) failover: Vec<Failover>,
    pub(crate) failover_priority: Vec<String>,
}

/// Shares of calls from one locality, in percent.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub(crate) struct Distribute {
    pub(crate) from: String,
    pub(crate) to: BTreeMap<String, u32>,
}

/// The region that takes over for another one.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub(crate) struct Failover {
    pub(crate) from: String,
    pub(crate) to: String,
}

/// Calls stay in the client's zone as far as its endpoints can take them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct ZoneAwareLbSetting {
    pub(crate) enabled: Option<bool>,
    pub(crate) failover: Vec<Failover>,
    pub(crate) failover_priority: Vec<String>,
    pub(crate) min_cluster_size: Option<u32>,
}

/// The share of an endpoint that has become ready grows for a while.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Warmup {
    pub(crate) duration: ProtoDuration,
    /// The least share; 10 by default.
    pub(crate) minimum_percent: Option<f64>,
    /// Above 1 the share grows faster at first; 1 by default.
    pub(crate) aggression: Option<f64>,
}

impl LoadBalancer {
    pub(super) fn check(&self, path: &FieldPath, findings: &mut Findings) {
        if self.simple.is_some() && self.consistent_hash.is_some() {
            let message = "found both simple and consistentHash, expected one of them";
            findings.error(path.field("consistentHash"), message);
        }
        if self.simple == Some(Simple::Passthrough) {
            let message = "rejected because gRPC clients need endpoints to choose from: expected ROUND_ROBIN, LEAST_REQUEST \
                           or RANDOM";
            findings.unsupported(path.field("simple"), message);
        }
        if self.simple == Some(Simple::Random) {
            let message = "gRPC clients other than mesh-tonic have no random choice: for them this works as ROUND_ROBIN";
            findings.push(Finding::warning(path.field("simple"), message).of_clients(&[ClientFamily::Grpc]));
        }
        self.check_warmup(path, findings);
        if let Some(hash) = &self.consistent_hash {
            hash.check(&path.field("consistentHash"), findings);
        }
        if let Some(locality) = &self.locality_lb_setting {
            locality.check(&path.field("localityLbSetting"), findings);
        }
    }

    /// How the share of a new endpoint grows.
    pub(crate) fn warmup(&self) -> Option<Warmup> {
        let short = self.warmup_duration_secs;
        let of_duration = |duration| Warmup { duration, minimum_percent: None, aggression: None };
        self.warmup.clone().or_else(|| short.map(of_duration)).filter(|warmup| !warmup.duration.0.is_zero())
    }

    fn check_warmup(&self, path: &FieldPath, findings: &mut Findings) {
        let field = if self.warmup.is_some() { "warmup" } else { "warmupDurationSecs" };
        let path_of_warmup = path.field(field);
        let Some(warmup) = self.warmup() else { return };
        warmup.check(&path_of_warmup, findings);
        if self.consistent_hash.is_some() || self.simple == Some(Simple::Random) {
            let message =
                "has no effect: only ROUND_ROBIN and LEAST_REQUEST give new endpoints a smaller share";
            findings.warning(path_of_warmup, message);
        } else {
            let message = "only mesh-tonic and Envoy have it: for other gRPC clients a new endpoint gets its full share at once";
            findings.push(Finding::warning(path_of_warmup, message).of_clients(&[ClientFamily::Grpc]));
        }
    }
}

impl Warmup {
    pub(crate) fn check(&self, path: &FieldPath, findings: &mut Findings) {
        if let Some(percent) = self.minimum_percent {
            check::percent(percent, &path.field("minimumPercent"), findings);
        }
        let is_wrong = |aggression: &f64| *aggression < 1.0 || !aggression.is_finite();
        if let Some(aggression) = self.aggression.filter(is_wrong) {
            let message = format!("found the number {aggression}, expected 1 or more");
            findings.error(path.field("aggression"), message);
        }
    }
}

impl LocalityLbSetting {
    /// On unless it says otherwise.
    pub(crate) fn is_enabled(&self) -> bool {
        self.enabled != Some(false)
    }

    fn check(&self, path: &FieldPath, findings: &mut Findings) {
        let set =
            [!self.distribute.is_empty(), !self.failover.is_empty(), !self.failover_priority.is_empty()];
        if set.into_iter().filter(|set| *set).count() > 1 {
            findings
                .error(path.clone(), "found several of distribute, failover, failoverPriority, expected one");
        }
        for (index, one) in self.distribute.iter().enumerate() {
            let sum: u64 = one.to.values().map(|percent| u64::from(*percent)).sum();
            if sum != 100 {
                let message = format!("the percentages add up to {sum}, expected 100");
                findings.error(path.field("distribute").index(index).field("to"), message);
            }
        }
    }
}
