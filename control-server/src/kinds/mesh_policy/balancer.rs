//! How an endpoint is chosen, with what a `DestinationRule` does not have.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::finding::{Finding, Findings};
use crate::kinds::ProtoDuration;
use crate::kinds::traffic_policy::Warmup;
use crate::state::ClientFamily;
use crate::yaml::FieldPath;

/// How an endpoint is chosen.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Balancer {
    pub(crate) policy: BalancerPolicy,
    /// Of `PeakEwma`: in this time an old latency falls to 1/e; 10s by default.
    pub(crate) decay: Option<ProtoDuration>,
    /// Of `ReportedLoad`: endpoints are asked for their load so often, apart from calls; else their answers carry it.
    pub(crate) report_interval: Option<ProtoDuration>,
    /// How the share of an endpoint grows that has become ready.
    pub(crate) warmup: Option<Warmup>,
    /// Each client uses so many endpoints of a locality; all by default.
    pub(crate) subset_size: Option<u32>,
}

/// A load-balancing policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub(crate) enum BalancerPolicy {
    RoundRobin,
    LeastRequest,
    Random,
    /// Of two random endpoints the one with the lower expected latency.
    PeakEwma,
    /// In turn, endpoints that report less load more often.
    ReportedLoad,
}

impl Balancer {
    pub(super) fn check(&self, path: &FieldPath, findings: &mut Findings) {
        let is = |policy| self.policy == policy;
        let rows = [
            ("decay", self.decay.is_some(), is(BalancerPolicy::PeakEwma), "PeakEwma"),
            (
                "reportInterval",
                self.report_interval.is_some(),
                is(BalancerPolicy::ReportedLoad),
                "ReportedLoad",
            ),
            ("warmup", self.warmup.is_some(), !is(BalancerPolicy::Random), "every policy but Random"),
        ];
        for (field, is_set, fits, policy) in rows {
            if is_set && !fits {
                findings.error(path.field(field), format!("is a setting of {policy}"));
            }
        }
        if self.decay.is_some_and(|decay| decay.0.as_millis() < 100) {
            findings.error(path.field("decay"), "expected a duration of at least 100ms");
        }
        if self.report_interval.is_some_and(|interval| interval.0.is_zero()) {
            findings.error(path.field("reportInterval"), "expected a duration of more than 0s");
        }
        if self.subset_size == Some(0) {
            findings.error(path.field("subsetSize"), "found the number 0, expected at least 1");
        }
        self.check_warmup(&path.field("warmup"), findings);
        self.warn_of_clients(path, findings);
    }

    fn check_warmup(&self, path: &FieldPath, findings: &mut Findings) {
        let Some(warmup) = &self.warmup else { return };
        if warmup.duration.0.is_zero() {
            findings.error(path.field("duration"), "expected a duration of more than 0s");
        }
        warmup.check(path, findings);
    }

    /// Says what clients do instead that have not all of it.
    fn warn_of_clients(&self, path: &FieldPath, findings: &mut Findings) {
        let mut warn = |field: FieldPath, message: &str, clients| {
            findings.push(Finding::warning(field, message).of_clients(clients));
        };
        let policy = path.field("policy");
        match self.policy {
            BalancerPolicy::PeakEwma => {
                let message = "only mesh-tonic has it: Envoy and other gRPC clients use LeastRequest, or RoundRobin without that";
                warn(policy, message, WITHOUT_OURS);
            }
            BalancerPolicy::ReportedLoad => {
                warn(policy, "Envoy uses RoundRobin, as do gRPC clients without gRFC A58", WITHOUT_OURS);
            }
            BalancerPolicy::Random => {
                warn(policy, "gRPC clients other than mesh-tonic use RoundRobin", &[ClientFamily::Grpc]);
            }
            BalancerPolicy::RoundRobin | BalancerPolicy::LeastRequest => {}
        }
        if self.subset_size.is_some() {
            let message = "only mesh-tonic has it, and gRPC clients with gRFC A68: others use all endpoints";
            warn(path.field("subsetSize"), message, WITHOUT_OURS);
        }
        if self.warmup.is_some() {
            let message = "gRPC clients other than mesh-tonic give a new endpoint its full share at once";
            warn(path.field("warmup"), message, &[ClientFamily::Grpc]);
        }
    }
}

const WITHOUT_OURS: &[ClientFamily] = &[ClientFamily::Grpc, ClientFamily::Envoy];
