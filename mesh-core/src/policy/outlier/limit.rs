//! How many of a cluster's endpoints may be ejected.

use crate::config::OutlierDetection;

/// How many endpoints there are, and how many of them are ejected.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Population {
    pub(super) endpoints: usize,
    pub(super) ejected: usize,
}

/// Which share of ejected endpoints is compared with `max_ejection_percent`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Limit {
    /// gRPC's rule (LB-57): the share that is ejected now must be below the limit. So any limit above 0 allows one
    /// ejection.
    Now,
    /// Envoy's rule: the share after one more ejection must not be above the limit.
    WithOneMore,
}

impl Population {
    /// Whether one endpoint more may be ejected.
    pub(super) fn has_room(self, limit: Limit, settings: &OutlierDetection) -> bool {
        let most = settings.max_ejection_percent as usize * self.endpoints;
        let is_below = match limit {
            Limit::Now => self.ejected * 100 < most,
            Limit::WithOneMore => (self.ejected + 1) * 100 <= most,
        };
        is_below || (settings.always_eject_one && self.ejected == 0)
    }
}
