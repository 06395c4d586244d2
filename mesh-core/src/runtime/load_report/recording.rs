//! One attempt of a call, as load reports count it.

use std::sync::Arc;

use http::{HeaderMap, StatusCode};

use crate::config::ReportedMetric;
use crate::policy::load_report::orca::{OrcaReport, Payload};
use crate::policy::load_report::{Ending, LocalityCounts};

/// Tells by status and last headers whether an attempt succeeded.
pub(crate) type IsSuccess = fn(StatusCode, &HeaderMap) -> bool;

/// An attempt that has an endpoint but has not been sent, so that it does not count yet.
#[derive(Debug)]
pub(crate) struct Unsent {
    counts: Arc<LocalityCounts>,
    metrics: Option<Arc<[ReportedMetric]>>,
}

/// An attempt in progress. It ends once: with its response, or as a failure when it is dropped before.
#[derive(Debug)]
pub(crate) struct Recording {
    counts: Arc<LocalityCounts>,
    metrics: Option<Arc<[ReportedMetric]>>,
    is_success: IsSuccess,
    /// Of the head, once it is there.
    status: StatusCode,
    has_ended: bool,
}

impl Unsent {
    pub(super) fn new(counts: Arc<LocalityCounts>, metrics: Option<Arc<[ReportedMetric]>>) -> Self {
        Self { counts, metrics }
    }

    /// From now on it counts.
    pub(crate) fn send(self, is_success: IsSuccess) -> Recording {
        let Self { counts, metrics } = self;
        counts.start();
        Recording { counts, metrics, is_success, status: StatusCode::OK, has_ended: false }
    }
}

impl Recording {
    /// The response's head has come, and more may follow.
    pub(crate) fn on_head(&mut self, status: StatusCode) {
        self.status = status;
    }

    /// The response has ended; `headers` came last, if any did.
    pub(crate) fn end(&mut self, headers: &HeaderMap) {
        if std::mem::replace(&mut self.has_ended, true) {
            return;
        }
        // OB-19, TR-71
        if let Some(metrics) = &self.metrics
            && let Some(payload) = Payload::from_headers(headers)
            && let Some(report) = OrcaReport::parse(payload.as_bytes())
        {
            self.counts.metrics.add(&report, metrics);
        }
        let is_success = (self.is_success)(self.status, headers);
        self.counts.end(if is_success { Ending::Success } else { Ending::Failure });
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        if !self.has_ended {
            self.counts.end(Ending::Failure);
        }
    }
}
