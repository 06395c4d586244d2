//! Retries and hedging.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::finding::{Finding, Findings};
use crate::kinds::ProtoDuration;
use crate::state::ClientFamily;
use crate::yaml::{FieldPath, did_you_mean};

/// When and how often a call is tried again.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CallRetry {
    /// Beside the first attempt; 0 is none.
    pub(crate) attempts: u32,
    /// gRPC's names of statuses and Envoy's names of conditions; `unavailable` and `cancelled` by default.
    #[serde(default)]
    pub(crate) conditions: Vec<String>,
    /// Before the first retry; doubled up to ten times as much.
    pub(crate) backoff: Option<ProtoDuration>,
    /// How long an attempt may take until its response begins.
    pub(crate) per_try_timeout: Option<ProtoDuration>,
}

/// Further attempts beside those that run; the first answer counts.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Hedging {
    /// After so long without an answer the next attempt is sent.
    pub(crate) delay: ProtoDuration,
    /// Beside the first attempt; 1 by default.
    pub(crate) attempts: Option<u32>,
    /// After an answer of these the next attempt is sent at once; as those of `retry`.
    #[serde(default)]
    pub(crate) conditions: Vec<String>,
}

impl CallRetry {
    pub(super) fn check(&self, path: &FieldPath, findings: &mut Findings) {
        check_attempts(self.attempts, &path.field("attempts"), findings);
        check_conditions(&self.conditions, &path.field("conditions"), findings);
        if self.backoff.is_some_and(|backoff| backoff.0.is_zero()) {
            findings.error(path.field("backoff"), "found the text `0s`, expected a duration of at least 1ms");
        }
        if self.per_try_timeout.is_some() {
            let message = "only mesh-tonic and Envoy limit attempts: other gRPC clients limit the whole call";
            findings.push(of_grpc(path.field("perTryTimeout"), message));
        }
    }
}

impl Hedging {
    pub(super) fn check(&self, path: &FieldPath, findings: &mut Findings) {
        check_attempts(self.attempts.unwrap_or(1), &path.field("attempts"), findings);
        check_conditions(&self.conditions, &path.field("conditions"), findings);
        if self.delay.0.is_zero() || self.attempts == Some(0) {
            let message = "expected a delay of at least 1ms, and at least one further attempt";
            findings.error(path.clone(), message);
        }
        let message = "only mesh-tonic and Envoy send attempts beside those that run: other gRPC clients retry the calls that \
                       fail by the conditions";
        findings.push(of_grpc(path.clone(), message));
    }
}

fn check_attempts(attempts: u32, path: &FieldPath, findings: &mut Findings) {
    if attempts > 4 {
        findings.warning(path.clone(), "gRPC clients make at most 5 attempts in all: this works as 4 more");
    }
}

fn check_conditions(conditions: &[String], path: &FieldPath, findings: &mut Findings) {
    for (index, condition) in conditions.iter().enumerate() {
        let path = path.index(index);
        if CONDITIONS_OF_ENVOY.contains(&condition.as_str()) {
            let message = "only mesh-tonic and Envoy know this condition: other gRPC clients ignore it";
            findings.push(of_grpc(path, message));
        } else if !STATUSES.contains(&condition.as_str()) {
            let known = || STATUSES.into_iter().chain(CONDITIONS_OF_ENVOY);
            let list = known().collect::<Vec<_>>().join(", ");
            let hint = did_you_mean(condition, known());
            findings.error(path, format!("found `{condition}`, expected one of {list}{hint}"));
        }
    }
}

fn of_grpc(path: FieldPath, message: &str) -> Finding {
    Finding::warning(path, message).of_clients(&[ClientFamily::Grpc])
}

/// The conditions by their names, each once; the default ones if none are given.
pub(crate) fn conditions(given: &[String]) -> Vec<&'static str> {
    let given: BTreeSet<&str> = given.iter().map(String::as_str).collect();
    if given.is_empty() {
        return vec!["unavailable", "cancelled"];
    }
    STATUSES.into_iter().chain(CONDITIONS_OF_ENVOY).filter(|name| given.contains(name)).collect()
}

const STATUSES: [&str; 5] =
    ["cancelled", "deadline-exceeded", "internal", "resource-exhausted", "unavailable"];
const CONDITIONS_OF_ENVOY: [&str; 8] = [
    "5xx",
    "gateway-error",
    "reset",
    "reset-before-request",
    "connect-failure",
    "envoy-ratelimited",
    "retriable-4xx",
    "refused-stream",
];
