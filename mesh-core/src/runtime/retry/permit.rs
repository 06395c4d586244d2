//! Shares of a cluster's retry budget.

use std::sync::Arc;

use crate::policy::retry::RetryBudget;
use crate::runtime::circuit_breaker::ClusterLoad;

/// A share of a cluster's retry budget: held from the decision to retry until the end of that attempt.
#[derive(Debug)]
pub(crate) struct RetryPermit {
    load: Arc<ClusterLoad>,
    sent: bool,
}

impl RetryPermit {
    /// `None`: too many of the cluster's calls are retries already.
    pub(crate) fn request(load: &Arc<ClusterLoad>, budget: RetryBudget) -> Option<Self> {
        load.start_retry(budget).then(|| Self { load: load.clone(), sent: false })
    }

    /// The wait is over and the retry is sent.
    pub(crate) fn sent(&mut self) {
        if !std::mem::replace(&mut self.sent, true) {
            self.load.send_retry();
        }
    }
}

impl Drop for RetryPermit {
    fn drop(&mut self) {
        self.sent();
        self.load.end_retry();
    }
}
