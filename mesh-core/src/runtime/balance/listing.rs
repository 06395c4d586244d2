//! One leaf's endpoints as they are configured.

use std::collections::HashMap;
use std::sync::Arc;

use crate::config::{ClusterSettings, EndpointAddresses};
use crate::policy::lb::{EndpointId, EndpointLoad, LbPriority, LbUpdate, distinct};
use crate::runtime::accounting::Accounting;

use super::leaf::LeafId;
use super::translation::Translation;

/// One leaf's endpoints as they are configured, by the ids that they have in the cluster.
#[derive(Debug)]
pub(super) struct Listing {
    pub(super) leaf: LeafId,
    pub(super) accounting: Arc<Accounting>,
    /// By [`EndpointAddresses::identity`]: another order is the same endpoint (LB-29).
    pub(super) ids: HashMap<EndpointAddresses, EndpointId>,
    pub(super) translation: Translation,
    /// How many endpoints the last update has more than once.
    pub(super) repeated: usize,
    /// Which have left since the last sweep; some may be back.
    pub(super) left: Vec<EndpointId>,
    /// Since somebody has taken it.
    pub(super) turnover: Turnover,
}

/// Which endpoints have left and joined.
#[derive(Debug, Default)]
pub(super) struct Turnover {
    pub(super) left: Vec<EndpointId>,
    /// After others have left; one that has left and is back is in both.
    pub(super) joined: Vec<(EndpointId, Arc<EndpointLoad>)>,
}

impl Listing {
    /// No endpoints yet.
    pub(super) fn new(leaf: LeafId, accounting: Arc<Accounting>) -> Self {
        Self {
            leaf,
            accounting,
            ids: HashMap::new(),
            translation: Translation::default(),
            repeated: 0,
            left: Vec::new(),
            turnover: Turnover::default(),
        }
    }

    /// For the balancer: each endpoint once, where it is first.
    pub(super) fn priorities(&self, settings: &Arc<ClusterSettings>) -> Vec<LbPriority> {
        let localities = self.translation.priorities().into_iter();
        let priorities = localities.map(|localities| LbPriority::new(settings.clone(), localities)).collect();
        match self.repeated {
            0 => priorities,
            _ => distinct(LbUpdate { priorities, note: None }).priorities,
        }
    }
}
