//! A call's place among those that its cluster has in flight.

use std::sync::Arc;

use crate::config::MaxRequests;

use super::ClusterLoad;

/// A place among a cluster's calls in flight; dropping it gives it back (LB-24).
#[derive(Debug)]
pub(crate) struct Admission(Arc<ClusterLoad>);

impl Admission {
    /// `None`: the cluster has as many calls in flight as it may.
    pub(crate) fn request(load: &Arc<ClusterLoad>, limit: MaxRequests) -> Option<Self> {
        load.in_flight.enter(limit).then(|| Self(load.clone()))
    }

    pub(crate) fn load(&self) -> &Arc<ClusterLoad> {
        &self.0
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        self.0.in_flight.leave();
    }
}
