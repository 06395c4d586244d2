//! Timeouts and retries of an `HTTPRoute`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::finding::{Finding, Findings};
use crate::kinds::GatewayDuration;
use crate::state::ClientFamily;
use crate::yaml::FieldPath;

/// How long a request may take; `0s` is no limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Timeouts {
    /// Over all attempts.
    pub(crate) request: Option<GatewayDuration>,
    /// Of one attempt.
    pub(crate) backend_request: Option<GatewayDuration>,
}

/// When a request is tried again.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(default)]
pub(crate) struct Retry {
    /// Statuses of HTTP; failed connections are retried besides.
    pub(crate) codes: Vec<u32>,
    /// Excludes the first attempt.
    pub(crate) attempts: Option<u32>,
    /// Before the first retry.
    pub(crate) backoff: Option<GatewayDuration>,
}

impl Timeouts {
    pub(super) fn check(&self, path: &FieldPath, findings: &mut Findings) {
        let set = |timeout: Option<GatewayDuration>| timeout.map(|one| one.0).filter(|one| !one.is_zero());
        if let (Some(request), Some(backend)) = (set(self.request), set(self.backend_request))
            && backend > request
        {
            findings.error(
                path.field("backendRequest"),
                "expected no more than `request`, which limits all attempts",
            );
        }
    }

    /// Says that a limit of attempts has no effect, where there are several.
    pub(super) fn warn_of_attempts(&self, path: &FieldPath, findings: &mut Findings) {
        if self.backend_request.is_some() {
            let message = "ignored by gRPC clients, which limit the whole call, over all attempts";
            let finding = Finding::warning(path.field("backendRequest"), message);
            findings.push(finding.of_clients(&[ClientFamily::Grpc]));
        }
    }
}

impl Retry {
    /// The statuses of gRPC that stand for codes, and what failed connections are.
    pub(crate) fn grpc_conditions(&self) -> Vec<&'static str> {
        let of_codes = self.codes.iter().filter_map(|code| match code {
            503 => Some("unavailable"),
            504 => Some("deadline-exceeded"),
            500 => Some("internal"),
            429 => Some("resource-exhausted"),
            _ => None,
        });
        let mut conditions = vec!["unavailable"];
        for one in of_codes {
            if !conditions.contains(&one) {
                conditions.push(one);
            }
        }
        conditions
    }

    pub(super) fn check(&self, path: &FieldPath, findings: &mut Findings) {
        for (index, code) in self.codes.iter().enumerate() {
            let path = path.field("codes").index(index);
            if !(400..=599).contains(code) {
                findings.error(path, format!("found the number {code}, expected a status from 400 to 599"));
            } else if ![429, 500, 503, 504].contains(code) {
                let message = "ignored by gRPC clients, which have no status for it";
                findings.push(Finding::warning(path, message).of_clients(ALL_GRPC));
            }
        }
        if self.attempts == Some(0) {
            findings.error(path.field("attempts"), "found the number 0, expected at least 1");
        }
        if self.backoff.is_some_and(|backoff| backoff.0.is_zero()) {
            findings.error(path.field("backoff"), "found the text `0s`, expected a duration of at least 1ms");
        }
    }
}

/// gRPC's own libraries and mesh-rs.
const ALL_GRPC: &[ClientFamily] = &[ClientFamily::Grpc, ClientFamily::MeshTonic];
