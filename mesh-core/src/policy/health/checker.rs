//! The health of one endpoint, by its checks.

use std::sync::Arc;

use crate::config::HealthCheck;

/// How a check has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum CheckResult {
    /// The endpoint is healthy.
    Good,
    /// There was no answer, or one that counts as a failure: the endpoint is unhealthy after some of them.
    Failed(Arc<str>),
    /// The endpoint says that it is not healthy.
    Refused(Arc<str>),
}

/// Whether an endpoint may take calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Health {
    /// No check has ended yet.
    Unknown,
    Healthy,
    /// For this reason: the last failed check.
    Unhealthy(Arc<str>),
}

/// How much the last check has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Edge {
    /// The endpoint's health is settled.
    Settled,
    /// Its health changes if further checks end in the same way.
    Pending,
}

/// The health of one endpoint, by its checks.
#[derive(Debug)]
pub(crate) struct Checker {
    health: Health,
    /// Good checks in a row while it is unhealthy.
    good: u32,
    /// Failed checks in a row while it is healthy.
    failed: u32,
    pub(super) edge: Edge,
    pub(super) was_good: bool,
}

impl Default for Checker {
    /// No check has ended yet.
    fn default() -> Self {
        Self { health: Health::Unknown, good: 0, failed: 0, edge: Edge::Settled, was_good: false }
    }
}

impl Checker {
    /// Whether the endpoint may take calls.
    pub(crate) fn health(&self) -> &Health {
        &self.health
    }

    /// A check has ended. Returns whether the endpoint may take calls now, if that has changed.
    // LB-64
    pub(crate) fn on_result(&mut self, settings: &HealthCheck, result: CheckResult) -> Option<&Health> {
        let before = std::mem::discriminant(&self.health);
        self.was_good = matches!(result, CheckResult::Good);
        match result {
            CheckResult::Good => self.on_good(settings.healthy_threshold.max(1)),
            CheckResult::Failed(reason) => self.on_failed(reason, settings.unhealthy_threshold.max(1)),
            CheckResult::Refused(reason) => self.on_failed(reason, 1),
        }
        (std::mem::discriminant(&self.health) != before).then_some(&self.health)
    }

    fn on_good(&mut self, threshold: u32) {
        self.failed = 0;
        self.edge = Edge::Settled;
        match self.health {
            Health::Healthy => {}
            // The first check alone decides.
            Health::Unknown => self.health = Health::Healthy,
            Health::Unhealthy(_) => {
                self.good += 1;
                if self.good >= threshold {
                    self.health = Health::Healthy;
                } else {
                    self.edge = Edge::Pending;
                }
            }
        }
    }

    fn on_failed(&mut self, reason: Arc<str>, threshold: u32) {
        self.good = 0;
        self.edge = Edge::Settled;
        if self.health == Health::Healthy {
            self.failed += 1;
            if self.failed < threshold {
                self.edge = Edge::Pending;
                return;
            }
        }
        self.failed = 0;
        self.health = Health::Unhealthy(reason);
    }
}
