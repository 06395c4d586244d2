//! Retries of a `VirtualService`.

use serde::Deserialize;

use crate::finding::Findings;
use crate::kinds::ProtoDuration;
use crate::yaml::FieldPath;

/// When and how often a call is tried again.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct HttpRetry {
    pub(crate) attempts: Option<i32>,
    per_try_timeout: Option<ProtoDuration>,
    /// Comma-separated conditions.
    pub(crate) retry_on: Option<String>,
    retry_remote_localities: Option<bool>,
    retry_ignore_previous_hosts: Option<bool>,
    pub(crate) backoff: Option<ProtoDuration>,
}

impl HttpRetry {
    pub(super) fn check(&self, path: &FieldPath, findings: &mut Findings) {
        match self.attempts {
            Some(attempts) if attempts < 0 => {
                findings.error(
                    path.field("attempts"),
                    format!("found the number {attempts}, expected 0 or more"),
                );
            }
            Some(attempts) if attempts > 4 => {
                let message = "gRPC clients make at most 5 attempts in all: this works as 4 retries";
                findings.warning(path.field("attempts"), message);
            }
            None => findings.warning(path.clone(), "attempts is not set: calls are not retried"),
            Some(_) => {}
        }
        if self.backoff.is_some_and(|backoff| backoff.0.is_zero()) {
            findings.error(path.field("backoff"), "found the text `0s`, expected a duration of at least 1ms");
        }
        let Some(conditions) = &self.retry_on else { return };
        let ignored = Self::conditions(conditions).filter(|condition| !is_known_to_grpc(condition));
        let ignored: Vec<&str> = ignored.collect();
        if !ignored.is_empty() {
            let message = format!(
                "ignored by gRPC clients: {}; they know {}",
                ignored.join(", "),
                GRPC_CONDITIONS.join(", ")
            );
            findings.warning(path.field("retryOn"), message);
        }
    }

    fn conditions(text: &str) -> impl Iterator<Item = &str> {
        text.split(',').map(str::trim).filter(|condition| !condition.is_empty())
    }

    /// The conditions that gRPC clients know, in the order written.
    pub(crate) fn grpc_conditions(text: &str) -> Vec<&'static str> {
        let known = Self::conditions(text).filter_map(|condition| {
            GRPC_CONDITIONS.into_iter().find(|known| known.eq_ignore_ascii_case(condition))
        });
        let mut conditions: Vec<&'static str> = Vec::new();
        for condition in known {
            if !conditions.contains(&condition) {
                conditions.push(condition);
            }
        }
        conditions
    }
}

/// Whether the condition is known, or every gRPC client does it anyway for a call that no endpoint has seen.
fn is_known_to_grpc(condition: &str) -> bool {
    GRPC_CONDITIONS.iter().chain(&TRANSPARENT).any(|known| known.eq_ignore_ascii_case(condition))
}

/// RDS-16.
const GRPC_CONDITIONS: [&str; 5] =
    ["cancelled", "deadline-exceeded", "internal", "resource-exhausted", "unavailable"];
const TRANSPARENT: [&str; 2] = ["connect-failure", "refused-stream"];
