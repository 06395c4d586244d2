//! A random order by weight.

use rand::{Rng, RngExt};

use super::LbEndpoint;

/// LB-42: a random order in which heavier endpoints tend to stand first: by `u^(1/weight)`, descending.
pub(super) fn shuffle(endpoints: &mut [LbEndpoint], rng: &mut dyn Rng) {
    endpoints.sort_by_cached_key(|endpoint| {
        // the logarithm sorts in the same order, and keeps more digits
        let key = (1.0 - rng.random::<f64>()).ln() / f64::from(endpoint.weight);
        std::cmp::Reverse(Key(key))
    });
}

#[derive(Debug, PartialEq)]
struct Key(f64);

impl Eq for Key {}

impl Ord for Key {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.total_cmp(&other.0)
    }
}

impl PartialOrd for Key {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
