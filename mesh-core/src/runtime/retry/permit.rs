//! Shares of a cluster's retry budget.

use std::sync::Arc;

use crate::config::RoutingPriority;
use crate::policy::retry::RetryBudget;
use crate::runtime::accounting::Accounting;
use crate::runtime::circuit_breaker::ClusterLoad;

/// A share of a cluster's retry budget: held from the decision to retry until the end of that attempt.
#[derive(Debug)]
pub(crate) struct RetryPermit {
    load: Arc<ClusterLoad>,
    priority: RoutingPriority,
    sent: bool,
}

impl RetryPermit {
    /// `None`: too many of the cluster's calls are retries already, by its own limit or else by the mesh's budget.
    // LB-28
    pub(crate) fn request(
        cluster: &Accounting,
        priority: RoutingPriority,
        budget: RetryBudget,
    ) -> Option<Self> {
        let load = &cluster.load;
        let budget = cluster.limits(priority).retry_budget.unwrap_or(budget);
        load.of(priority).start_retry(budget).then(|| Self { load: load.clone(), priority, sent: false })
    }

    /// The wait is over and the retry is sent.
    pub(crate) fn sent(&mut self) {
        if !std::mem::replace(&mut self.sent, true) {
            self.load.of(self.priority).send_retry();
        }
    }
}

impl Drop for RetryPermit {
    fn drop(&mut self) {
        self.sent();
        self.load.of(self.priority).end_retry();
    }
}
