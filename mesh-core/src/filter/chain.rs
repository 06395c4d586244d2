//! The filters of a route and cluster, in order.

use std::sync::Arc;

use http::HeaderMap;

use crate::config::Name;

use super::{HttpFilter, Stages};

/// The filters that calls of a route and cluster pass; never empty.
#[derive(Debug)]
pub(crate) struct FilterChain {
    links: Box<[Link]>,
    stages: Stages,
}

/// A filter in its place.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) filter: Arc<dyn HttpFilter>,
    stages: Stages,
}

impl FilterChain {
    /// A chain of these filters; `None` when none of them has anything to do.
    pub(super) fn new(filters: impl IntoIterator<Item = Arc<dyn HttpFilter>>) -> Option<Self> {
        let link = |filter: Arc<dyn HttpFilter>| {
            let stages = filter.stages();
            (stages != Stages::NONE).then_some(Link { filter, stages })
        };
        let links: Box<[Link]> = filters.into_iter().filter_map(link).collect();
        let stages = links.iter().fold(Stages::NONE, |all, link| all | link.stages);
        (!links.is_empty()).then_some(Self { links, stages })
    }

    /// The cluster that a filter wants the call to go to, if one does.
    pub(crate) fn wanted_cluster(&self, path: &str, headers: &HeaderMap) -> Option<Name> {
        let asked = self.links.iter().filter(|link| link.wants(Stages::CLUSTER));
        asked.filter_map(|link| link.filter.wanted_cluster(path, headers)).next()
    }

    /// Whether some filter may want the call to go to another cluster.
    pub(crate) fn chooses_clusters(&self) -> bool {
        self.stages.intersects(Stages::CLUSTER)
    }

    /// What at least one filter takes part in.
    pub(super) fn stages(&self) -> Stages {
        self.stages
    }

    pub(super) fn get(&self, position: usize) -> Option<&Link> {
        self.links.get(position)
    }

    /// So many filters from the beginning of the chain.
    pub(super) fn first(&self, count: usize) -> &[Link] {
        self.links.get(..count).unwrap_or(&self.links)
    }
}

impl Link {
    pub(super) fn wants(&self, stage: Stages) -> bool {
        self.stages.intersects(stage)
    }
}
