//! Faults that a `VirtualService` injects.

use serde::Deserialize;

use crate::finding::Findings;
use crate::kinds::{ProtoDuration, check};
use crate::yaml::FieldPath;

#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(super) struct HttpFault {
    delay: Option<Delay>,
    abort: Option<Abort>,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Delay {
    percent: Option<u32>,
    percentage: Option<Percent>,
    fixed_delay: Option<ProtoDuration>,
    exponential_delay: Option<ProtoDuration>,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Abort {
    http_status: Option<u32>,
    grpc_status: Option<String>,
    http2_error: Option<String>,
    percentage: Option<Percent>,
}

/// A share of all calls, from 0 to 100.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
pub(super) struct Percent {
    #[serde(default)]
    value: f64,
}

impl Percent {
    pub(super) fn check(self, path: &FieldPath, findings: &mut Findings) {
        check::percent(self.value, &path.field("value"), findings);
    }
}

impl HttpFault {
    pub(super) fn check(&self, path: &FieldPath, findings: &mut Findings) {
        if let Some(delay) = &self.delay {
            let path = path.field("delay");
            if let Some(percent) = delay.percentage {
                percent.check(&path.field("percentage"), findings);
            }
            if let Some(percent) = delay.percent {
                check::percent(f64::from(percent), &path.field("percent"), findings);
            }
            if delay.fixed_delay.is_none() && delay.exponential_delay.is_none() {
                findings.error(path.field("fixedDelay"), "required, but not set");
            }
        }
        if let Some(abort) = &self.abort {
            let path = path.field("abort");
            if let Some(percent) = abort.percentage {
                percent.check(&path.field("percentage"), findings);
            }
            if let Some(status) = abort.http_status
                && !(200..=599).contains(&status)
            {
                let message = format!("found the number {status}, expected an HTTP status from 200 to 599");
                findings.error(path.field("httpStatus"), message);
            }
            if let Some(status) = &abort.grpc_status
                && !GRPC_STATUSES.contains(&status.as_str())
            {
                let message = format!("found `{status}`, expected a gRPC status such as UNAVAILABLE");
                findings.error(path.field("grpcStatus"), message);
            }
            if abort.http_status.is_none() && abort.grpc_status.is_none() && abort.http2_error.is_none() {
                findings.error(path, "expected httpStatus or grpcStatus, found neither");
            }
        }
    }
}

const GRPC_STATUSES: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];
