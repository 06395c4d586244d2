//! Chooses one of a route's clusters by weight.

use rand::{Rng, RngExt};

use crate::config::ClusterChoice;

/// A route's clusters, compiled for choosing one by weight (RT-22).
#[derive(Debug, Clone)]
pub(crate) struct WeightedClusters {
    /// The end of each cluster's share, ascending; empty when there is nothing to choose.
    ends: Box<[u32]>,
}

impl WeightedClusters {
    /// Compiles a choice.
    pub(crate) fn new(choice: &ClusterChoice) -> Self {
        let ends = match choice {
            ClusterChoice::One(_) => Box::default(),
            ClusterChoice::Weighted(entries) => entries
                .iter()
                .scan(0_u32, |end, entry| {
                    *end = end.saturating_add(entry.weight);
                    Some(*end)
                })
                .collect(),
        };
        Self { ends }
    }

    /// A position in [`ClusterChoice::names`]. The caller picks once per call, whatever the clusters' connectivity;
    /// retries go to the same cluster.
    #[inline]
    pub(crate) fn pick(&self, rng: &mut dyn Rng) -> usize {
        match self.ends.last() {
            Some(total @ 1..) if self.ends.len() > 1 => {
                let draw = rng.random_range(0..*total);
                self.ends.partition_point(|end| *end <= draw)
            }
            _ => 0,
        }
    }
}
