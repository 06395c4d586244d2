//! What the weights of localities and endpoints decide: shares, and a random order.

use rand::{Rng, RngExt};

use super::{LbEndpoint, LbLocality};

/// The endpoints of all localities, each with its share of the priority in parts of 2^31 (LB-37, gRFC A113).
pub(super) fn flattened(localities: &[LbLocality]) -> Vec<LbEndpoint> {
    let all_localities: u64 = localities.iter().map(|locality| u64::from(locality.weight)).sum();
    let mut endpoints = Vec::with_capacity(localities.iter().map(|locality| locality.endpoints.len()).sum());
    for locality in localities {
        let in_locality = locality.endpoints.iter().map(|endpoint| u64::from(endpoint.weight)).sum();
        endpoints.extend(locality.endpoints.iter().map(|endpoint| {
            let weight = share_of_all((locality.weight, all_localities), (endpoint.weight, in_locality));
            LbEndpoint { weight, ..endpoint.clone() }
        }));
    }
    endpoints
}

/// LB-37: the share of an endpoint in parts of 2^31, not zero. Weight and total of its locality, and its own ones there.
pub(super) fn share_of_all(locality: (u32, u64), endpoint: (u32, u64)) -> u32 {
    let product = (share(locality.0, locality.1) * share(endpoint.0, endpoint.1)) >> FRACTION_BITS;
    u32::try_from(product).unwrap_or(u32::MAX).max(1)
}

/// A share as a number with 31 binary digits after the point; at most 1.
fn share(weight: u32, total: u64) -> u64 {
    (u64::from(weight) << FRACTION_BITS) / total.max(1)
}

const FRACTION_BITS: u32 = 31;

/// LB-42: a random order in which heavier endpoints tend to stand first: by `u^(1/weight)`, descending.
pub(super) fn shuffle(endpoints: &mut [LbEndpoint], rng: &mut dyn Rng) {
    endpoints.sort_by_cached_key(|endpoint| {
        // the logarithm sorts in the same order, and keeps more digits
        let key = (1.0 - rng.random::<f64>()).ln() / f64::from(endpoint.weight);
        std::cmp::Reverse(RandomKey(key))
    });
}

#[derive(Debug, PartialEq)]
struct RandomKey(f64);

impl Eq for RandomKey {}

impl Ord for RandomKey {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.total_cmp(&other.0)
    }
}

impl PartialOrd for RandomKey {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
