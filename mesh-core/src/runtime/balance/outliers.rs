//! Drives a leaf's outlier detection, over all priorities of the leaf (LB-02): the balancer sees connections through it.

use std::time::Instant;

use rand::Rng;

use crate::config::{ClusterSettings, LbPolicy, Name};
use crate::policy::lb::{Balancer, Connectivity, EndpointId};
use crate::policy::outlier::{Change, Detector};
use crate::runtime::accounting::Counts;
use crate::runtime::connect::Connect;
use crate::runtime::outlier::{EjectedEndpoint, ShownEjections, UnhealthyEndpoint};

use super::endpoints::Endpoints;
use super::listing::Turnover;

/// A leaf's outlier detection.
#[derive(Debug)]
pub(super) struct Outliers {
    cluster: Name,
    detector: Detector,
    shown: ShownEjections,
    /// Ejections and returns that are not in logs and status yet.
    changes: Vec<Change>,
    /// An endpoint was removed that may have been ejected.
    has_lost_any: bool,
}

impl Outliers {
    pub(super) fn new(settings: &ClusterSettings, counts: &Counts) -> Self {
        let store = &counts.ejections;
        Self {
            cluster: settings.name.clone(),
            detector: Detector::new(store.counts().clone()),
            shown: store.register(),
            changes: Vec::new(),
            has_lost_any: false,
        }
    }

    /// Endpoints were removed and added; the connections of added ones are idle.
    pub(super) fn on_turnover(&mut self, turnover: Turnover) {
        for id in turnover.left {
            self.has_lost_any = true;
            self.detector.remove(id);
        }
        for (id, load) in turnover.joined {
            self.detector.insert(id, load);
        }
    }

    /// Sets the cluster's settings; ejections stay.
    pub(super) fn configure(
        &mut self,
        now: Instant,
        settings: &ClusterSettings,
        balancer: &mut dyn Balancer,
        rng: &mut dyn Rng,
    ) {
        // A61: not for pick_first, which could do nothing sensible when its endpoint is ejected.
        let is_of_use = !matches!(settings.lb_policy.innermost(), LbPolicy::PickFirst { .. });
        let detection = settings.outlier_detection.as_ref().filter(|_| is_of_use);
        let changes = self.detector.configure(now, detection);
        self.apply(now, changes, balancer, rng);
    }

    /// A connection has changed. Returns the state that the balancer sees.
    pub(super) fn on_connectivity(&mut self, id: EndpointId, state: Connectivity) -> Connectivity {
        self.detector.on_connectivity(id, state)
    }

    /// Calls to an endpoint have failed in a row.
    pub(super) fn on_failures_in_a_row(
        &mut self,
        now: Instant,
        id: EndpointId,
        balancer: &mut dyn Balancer,
        rng: &mut dyn Rng,
    ) {
        let change = self.detector.on_failures_in_a_row(now, id, rng);
        self.apply(now, change, balancer, rng);
    }

    /// LB-62: the endpoint's health check has succeeded, which ends its ejection.
    pub(super) fn on_good_check(
        &mut self,
        now: Instant,
        id: EndpointId,
        balancer: &mut dyn Balancer,
        rng: &mut dyn Rng,
    ) {
        let change = self.detector.on_good_check(id);
        self.apply(now, change, balancer, rng);
    }

    /// Shows the endpoints whose health checks fail.
    pub(super) fn show_unhealthy(&self, unhealthy: Vec<UnhealthyEndpoint>) {
        self.shown.set_unhealthy(unhealthy);
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.detector.next_deadline()
    }

    /// Does nothing before the deadline.
    pub(super) fn on_deadline(&mut self, now: Instant, balancer: &mut dyn Balancer, rng: &mut dyn Rng) {
        let changes = self.detector.on_deadline(now, rng);
        self.apply(now, changes, balancer, rng);
    }

    fn apply(
        &mut self,
        now: Instant,
        changes: impl IntoIterator<Item = Change>,
        balancer: &mut dyn Balancer,
        rng: &mut dyn Rng,
    ) {
        for change in changes {
            balancer.on_connectivity(now, change.id, change.state.clone(), rng);
            self.changes.push(change);
        }
    }

    /// Writes new ejections and returns to log, metrics and status.
    pub(super) fn show<C: Connect>(&mut self, endpoints: &Endpoints<C>) {
        let is_changed = std::mem::take(&mut self.has_lost_any) || !self.changes.is_empty();
        if !is_changed {
            return;
        }
        let cluster = &self.cluster;
        for Change { id, reason, .. } in self.changes.drain(..) {
            let Some(addresses) = endpoints.addresses(id) else { continue };
            match reason {
                Some(reason) => {
                    tracing::warn!(%cluster, endpoint = %addresses.first(), %reason, "ejected by outlier detection");
                }
                None => tracing::info!(%cluster, endpoint = %addresses.first(), "returned to service"),
            }
        }
        let ejected = self.detector.ejected().filter_map(|ejected| {
            let addresses = endpoints.addresses(ejected.id)?.clone();
            let shown = EjectedEndpoint::new(cluster.clone(), addresses, ejected.since, ejected.reason);
            Some(EjectedEndpoint { multiplier: ejected.multiplier, ..shown })
        });
        self.shown.set(ejected.collect());
    }
}
