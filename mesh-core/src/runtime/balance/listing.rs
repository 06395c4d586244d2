//! The configured endpoints of one leaf.

use std::collections::HashMap;
use std::sync::Arc;

use crate::config::{ClusterSettings, EndpointAddresses};
use crate::policy::lb::{EndpointId, EndpointLoad, LbPriority, LbUpdate, distinct};
use crate::runtime::accounting::Accounting;

use super::leaf::LeafId;
use super::translation::Translation;

/// The configured endpoints of one leaf, by their ids in the cluster.
#[derive(Debug)]
pub(super) struct Listing {
    pub(super) leaf: LeafId,
    pub(super) accounting: Arc<Accounting>,
    /// By [`EndpointAddresses::identity`]: another order is the same endpoint (LB-29).
    pub(super) ids: HashMap<EndpointAddresses, EndpointId>,
    pub(super) translation: Translation,
    /// How many endpoints the last update lists more than once.
    pub(super) repeated: usize,
    /// Endpoints that drain and are kept for their sessions.
    pub(super) draining: Vec<EndpointId>,
    /// Endpoints that were removed since the last sweep; some may have been added again.
    pub(super) left: Vec<EndpointId>,
    /// Changes since it was last taken.
    pub(super) turnover: Turnover,
}

/// The endpoints that were removed and added.
#[derive(Debug, Default)]
pub(super) struct Turnover {
    pub(super) left: Vec<EndpointId>,
    /// Applied after `left`; an endpoint that was removed and added again is in both lists.
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
            draining: Vec::new(),
            left: Vec::new(),
            turnover: Turnover::default(),
        }
    }

    /// The priorities for the balancer: each endpoint once, at its first place.
    pub(super) fn priorities(&self, settings: &Arc<ClusterSettings>) -> Vec<LbPriority> {
        let localities = self.translation.priorities().into_iter();
        let priorities = localities.map(|localities| LbPriority::new(settings.clone(), localities)).collect();
        match self.repeated {
            0 => priorities,
            _ => distinct(LbUpdate { priorities, note: None }).priorities,
        }
    }
}
