//! Faults that a `VirtualService` injects.

use std::time::Duration;

use mesh_core::policy::grpc_code;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::finding::Findings;
use crate::kinds::{ProtoDuration, check};
use crate::yaml::FieldPath;

#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(default)]
pub(crate) struct HttpFault {
    delay: Option<Delay>,
    abort: Option<Abort>,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
struct Delay {
    percent: Option<u32>,
    percentage: Option<Percent>,
    fixed_delay: Option<ProtoDuration>,
    exponential_delay: Option<ProtoDuration>,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
struct Abort {
    http_status: Option<u32>,
    grpc_status: Option<String>,
    http2_error: Option<String>,
    percentage: Option<Percent>,
}

/// A share of all calls, from 0 to 100.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, Serialize, JsonSchema)]
pub(super) struct Percent {
    #[serde(default)]
    value: f64,
}

/// A validated fault. Delay and abort are drawn independently: a call may get both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) delay: Option<FaultDelay>,
    pub(crate) abort: Option<FaultAbort>,
}

/// Some calls wait before they are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FaultDelay {
    pub(crate) duration: Duration,
    /// Of a million calls.
    pub(crate) share: u32,
}

/// Some calls fail instead of being sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FaultAbort {
    pub(crate) status: AbortStatus,
    /// Of a million calls.
    pub(crate) share: u32,
}

/// How an aborted call ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AbortStatus {
    /// gRPC clients map it like the status of a response that is not gRPC.
    Http(u32),
    /// The number of a gRPC status.
    Grpc(u32),
}

impl Percent {
    pub(super) fn check(self, path: &FieldPath, findings: &mut Findings) {
        check::percent(self.value, &path.field("value"), findings);
    }

    /// Of a million.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "checked to be from 0 to 100; anything else ends at the nearest bound"
    )]
    pub(super) fn share(self) -> u32 {
        (self.value.clamp(0.0, 100.0) * 10_000.0).round() as u32
    }
}

impl HttpFault {
    pub(super) fn check(&self, path: &FieldPath, findings: &mut Findings) {
        if let Some(delay) = &self.delay {
            delay.check(&path.field("delay"), findings);
        }
        if let Some(abort) = &self.abort {
            abort.check(&path.field("abort"), findings);
        }
        if self.delay.is_none() && self.abort.is_none() {
            findings.error(path.clone(), "expected delay or abort or both, found neither");
        }
    }

    /// Whether it lets some calls fail.
    pub(super) fn aborts(&self) -> bool {
        self.fault().abort.is_some_and(|abort| abort.share > 0)
    }

    pub(crate) fn fault(&self) -> Fault {
        Fault {
            delay: self.delay.as_ref().and_then(Delay::resolve),
            abort: self.abort.as_ref().and_then(Abort::resolve),
        }
    }
}

impl Delay {
    fn check(&self, path: &FieldPath, findings: &mut Findings) {
        if let Some(percent) = self.percentage {
            percent.check(&path.field("percentage"), findings);
        }
        if let Some(percent) = self.percent {
            check::percent(f64::from(percent), &path.field("percent"), findings);
        }
        if self.percentage.is_none() && self.percent.is_none() {
            findings.warning(path.clone(), "no call waits: without `percentage`, the share is 0 %");
        }
        if self.exponential_delay.is_some() {
            let message = "rejected because no client knows it, expected fixedDelay";
            findings.unsupported(path.field("exponentialDelay"), message);
        } else if self.fixed_delay.is_none() {
            findings.missing(path.field("fixedDelay"), "required, but not set");
        } else if self.fixed_delay.is_some_and(|delay| delay.0.is_zero()) {
            let message = "found the text `0s`, expected a duration of at least 1ms";
            findings.error(path.field("fixedDelay"), message);
        }
    }

    fn resolve(&self) -> Option<FaultDelay> {
        let old = self.percent.map(|percent| Percent { value: f64::from(percent) });
        let share = self.percentage.or(old).map_or(0, Percent::share);
        Some(FaultDelay { duration: self.fixed_delay?.0, share })
    }
}

impl Abort {
    fn check(&self, path: &FieldPath, findings: &mut Findings) {
        if let Some(percent) = self.percentage {
            percent.check(&path.field("percentage"), findings);
        } else {
            findings.warning(path.clone(), "no call fails: without `percentage`, the share is 0 %");
        }
        if let Some(status) = self.http_status
            && !(200..=599).contains(&status)
        {
            let message = format!("found the number {status}, expected an HTTP status from 200 to 599");
            findings.error(path.field("httpStatus"), message);
        }
        if let Some(status) = &self.grpc_status
            && grpc_code::number(status).is_none()
        {
            let message = format!("found `{status}`, expected a gRPC status such as UNAVAILABLE");
            findings.error(path.field("grpcStatus"), message);
        }
        if self.http2_error.is_some() {
            let message = "rejected because no client knows it, expected httpStatus or grpcStatus";
            findings.unsupported(path.field("http2Error"), message);
            return;
        }
        match (self.http_status, &self.grpc_status) {
            (Some(_), Some(_)) => {
                findings.error(path.clone(), "found httpStatus and grpcStatus, expected one of them");
            }
            (None, None) => findings.error(path.clone(), "expected httpStatus or grpcStatus, found neither"),
            _ => {}
        }
    }

    fn resolve(&self) -> Option<FaultAbort> {
        let grpc = || self.grpc_status.as_deref().and_then(grpc_code::number).map(AbortStatus::Grpc);
        let status = self.http_status.map(AbortStatus::Http).or_else(grpc)?;
        Some(FaultAbort { status, share: self.percentage.map_or(0, Percent::share) })
    }
}
