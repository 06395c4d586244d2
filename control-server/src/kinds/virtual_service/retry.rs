//! Retries of a `VirtualService`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::finding::Findings;
use crate::kinds::ProtoDuration;
use crate::yaml::FieldPath;

/// When and how often a call is tried again.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct HttpRetry {
    pub(crate) attempts: Option<i32>,
    pub(crate) per_try_timeout: Option<ProtoDuration>,
    /// Comma-separated conditions.
    pub(crate) retry_on: Option<String>,
    pub(crate) retry_remote_localities: Option<bool>,
    pub(crate) retry_ignore_previous_hosts: Option<bool>,
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
        if let Some(conditions) = self.retry_on.as_deref() {
            check_conditions(conditions, &path.field("retryOn"), findings);
        }
    }

    /// The conditions as gRPC clients have them, each once, in the order written.
    pub(crate) fn grpc_conditions(text: &str) -> Vec<&'static str> {
        let mut found: Vec<&'static str> = Vec::new();
        for condition in conditions(text) {
            let statuses = match Meaning::of(condition) {
                Meaning::Status(status) | Meaning::ShowsAs(status) => Some(status),
                Meaning::Transparent | Meaning::Nothing => None,
            };
            found.extend(statuses.filter(|status| !found.contains(status)));
        }
        found
    }
}

/// What a condition means to gRPC clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Meaning {
    /// A status that they know by this name.
    Status(&'static str),
    /// Something of HTTP that they see as this status.
    ShowsAs(&'static str),
    /// They retry such calls by themselves, because no endpoint has seen them.
    Transparent,
    /// They cannot see it.
    Nothing,
}

impl Meaning {
    fn of(condition: &str) -> Self {
        let is = |known: &&str| known.eq_ignore_ascii_case(condition);
        if let Some(status) = GRPC_CONDITIONS.into_iter().find(is) {
            return Self::Status(status);
        }
        if TRANSPARENT.iter().any(is) {
            return Self::Transparent;
        }
        if UNAVAILABLE.iter().any(is) {
            return Self::ShowsAs("unavailable");
        }
        // Istio takes numbers for statuses of HTTP. gRPC clients give each a status of their own.
        match condition {
            "429" | "502" | "503" | "504" => Self::ShowsAs("unavailable"),
            "400" => Self::ShowsAs("internal"),
            _ => Self::Nothing,
        }
    }
}

fn conditions(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|condition| !condition.is_empty())
}

/// Says what is retried, unless it is what is written.
fn check_conditions(text: &str, path: &FieldPath, findings: &mut Findings) {
    let of = |wanted: fn(Meaning) -> bool| {
        conditions(text)
            .filter(move |condition| wanted(Meaning::of(condition)))
            .collect::<Vec<_>>()
            .join(", ")
    };
    let translated = of(|meaning| matches!(meaning, Meaning::ShowsAs(_)));
    let transparent = of(|meaning| meaning == Meaning::Transparent);
    let ignored = of(|meaning| meaning == Meaning::Nothing);
    let retried = HttpRetry::grpc_conditions(text).join(", ");
    let is_as_written = translated.is_empty() && ignored.is_empty();
    if is_as_written && (!retried.is_empty() || transparent.is_empty()) {
        return;
    }
    let mut message = match retried.as_str() {
        "" => "gRPC clients retry no status".to_owned(),
        retried => format!("gRPC clients retry calls that end with {retried}"),
    };
    if !translated.is_empty() {
        message.push_str(&format!(", which is what {translated} means to them"));
    }
    if !transparent.is_empty() {
        message.push_str(&format!("; {transparent} by themselves, if no endpoint has seen the call"));
    }
    if !ignored.is_empty() {
        message.push_str(&format!("; ignored: {ignored} (known: {})", GRPC_CONDITIONS.join(", ")));
    }
    findings.warning(path.clone(), message);
}

/// RDS-16.
const GRPC_CONDITIONS: [&str; 5] =
    ["cancelled", "deadline-exceeded", "internal", "resource-exhausted", "unavailable"];
const TRANSPARENT: [&str; 2] = ["connect-failure", "refused-stream"];
/// What a gRPC client shows as UNAVAILABLE: responses without a status of gRPC (502, 503, 504), and connections that end.
const UNAVAILABLE: [&str; 5] = ["5xx", "gateway-error", "reset", "reset-before-request", "envoy-ratelimited"];
