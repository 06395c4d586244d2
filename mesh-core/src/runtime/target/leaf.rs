//! Clusters with endpoints of their own, alone or as the children of an aggregate (gRFC A37).

use std::sync::{Arc, OnceLock};

use arc_swap::Guard;
use futures_util::future::select_all;

use crate::config::{Cluster, ClusterSettings, Discovery, ResourceError};
use crate::policy::lb::Connectivity;
use crate::runtime::balance::{ClusterHandle, Published};
use crate::runtime::connect::Connect;

/// A cluster that has endpoints of its own.
pub(crate) struct Leaf<C: Connect> {
    pub(crate) handle: Arc<ClusterHandle<C>>,
    /// Why calls are not to wait for it any more.
    pub(super) gone: OnceLock<ResourceError>,
}

/// One leaf, or those of an aggregate in the order of preference.
pub(crate) struct Leaves<C: Connect> {
    first: Arc<Leaf<C>>,
    further: Box<[Arc<Leaf<C>>]>,
}

/// What clusters have published, as a number that grows with each change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Version(u64);

/// The leaf that takes calls now, and what it has published.
pub(crate) struct Chosen<'a, C: Connect> {
    pub(crate) leaf: &'a Leaf<C>,
    pub(crate) published: Guard<Arc<Published<C::Connection>>>,
    /// Of all leaves.
    pub(crate) version: Version,
}

impl<C: Connect> Leaves<C> {
    pub(super) fn new(first: Arc<Leaf<C>>, further: impl Iterator<Item = Arc<Leaf<C>>>) -> Self {
        Self { first, further: further.collect() }
    }

    /// The first leaf, in order, that is ready or idle; else the first that is connecting; else the last.
    pub(crate) fn choose(&self) -> Chosen<'_, C> {
        let mut chosen = self.first.chosen();
        let mut rank = Rank::of(&chosen.published.state);
        let mut version = chosen.version.0;
        for leaf in &self.further {
            let candidate = leaf.chosen();
            version += candidate.version.0;
            let better = Rank::of(&candidate.published.state);
            if better > rank || better == Rank::Failed && rank == Rank::Failed {
                (chosen, rank) = (candidate, better);
            }
        }
        chosen.version = Version(version);
        chosen
    }

    /// Completes when something has changed since `seen`.
    pub(crate) async fn changed(&self, seen: Version) {
        let leaves = || std::iter::once(&self.first).chain(&self.further);
        let versions: Vec<u64> = leaves().map(|leaf| leaf.chosen().version.0).collect();
        if Version(versions.iter().sum()) != seen {
            return;
        }
        let changes = leaves().zip(versions).map(|(leaf, version)| Box::pin(leaf.handle.changed(version)));
        select_all(changes).await;
    }
}

impl<C: Connect> Leaf<C> {
    /// RT-26: the configuration says that there is no such cluster. Calls that wait for it fail, however patient.
    pub(super) fn end(&self, settings: Arc<ClusterSettings>, error: ResourceError) {
        // Only the first reason counts.
        let _ = self.gone.set(error.clone());
        self.handle.update(&Cluster { settings, discovery: Discovery::Endpoints(Err(error)) });
    }

    fn chosen(&self) -> Chosen<'_, C> {
        let published = self.handle.published();
        let version = Version(published.version);
        Chosen { leaf: self, published, version }
    }
}

impl<C: Connect> Chosen<'_, C> {
    /// The last endpoint error, if no endpoint can be reached.
    pub(crate) fn failure(&self) -> Option<Arc<str>> {
        match &self.published.state {
            Connectivity::TransientFailure(reason) => Some(reason.clone()),
            Connectivity::Idle | Connectivity::Connecting | Connectivity::Ready => None,
        }
    }
}

/// How much a leaf is preferred, whatever its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    Failed,
    Connecting,
    Usable,
}

impl Rank {
    fn of(state: &Connectivity) -> Self {
        match state {
            Connectivity::Ready | Connectivity::Idle => Self::Usable,
            Connectivity::Connecting => Self::Connecting,
            Connectivity::TransientFailure(_) => Self::Failed,
        }
    }
}
