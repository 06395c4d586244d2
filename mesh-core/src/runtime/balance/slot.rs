//! One endpoint of a cluster, as the request path sees it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::ArcSwapOption;

use crate::config::{EndpointAddresses, LocalityId, Name};
use crate::policy::lb::EndpointLoad;
use crate::runtime::connect::{Connection, Reserve};

/// One endpoint of a cluster, as the request path sees it.
#[derive(Debug)]
pub struct Slot<T> {
    /// Counters that pickers read; whoever sends a call keeps them true.
    pub load: Arc<EndpointLoad>,
    /// What identifies the endpoint.
    pub addresses: EndpointAddresses,
    /// Where it is.
    pub locality: Arc<LocalityId>,
    /// Name for `auto_host_rewrite` (gRFC A81); empty if unknown.
    pub hostname: Name,
    pub(super) line: Arc<Line<T>>,
}

impl<T: Connection> Slot<T> {
    /// Room for a call on the endpoint's connection; `None`: there is no connection.
    pub fn reserve(&self) -> Option<Reserve<T::Place>> {
        Some(self.line.connection.load().as_deref()?.reserve())
    }
}

impl<T: Clone> Slot<T> {
    /// The endpoint's connection, if there is one. It may have closed a moment ago: ask it.
    pub fn connection(&self) -> Option<T> {
        self.line.connection.load().as_deref().cloned()
    }
}

/// What of an endpoint changes without a publication; shared by all slots that the endpoint ever has in its cluster.
#[derive(Debug)]
pub(super) struct Line<T> {
    pub(super) connection: ArcSwapOption<T>,
    /// A wish to connect is on its way to the cluster's task.
    asked: AtomicBool,
}

impl<T> Line<T> {
    /// Whether nobody else has asked since the last [`answered`](Self::answered).
    pub(super) fn ask(&self) -> bool {
        !self.asked.load(Ordering::Relaxed) && !self.asked.swap(true, Ordering::AcqRel)
    }

    pub(super) fn answered(&self) {
        self.asked.store(false, Ordering::Release);
    }
}

impl<T> Default for Line<T> {
    fn default() -> Self {
        Self { connection: ArcSwapOption::empty(), asked: AtomicBool::new(false) }
    }
}
