//! Locality and endpoint weights in one, for policies that look at all endpoints of a priority.

use super::{LbEndpoint, LbLocality};

/// The endpoints of all localities, each with its share of the priority in parts of 2^31 (LB-37, gRFC A113).
pub(super) fn flattened(localities: &[LbLocality]) -> Vec<LbEndpoint> {
    let all_localities: u64 = localities.iter().map(|locality| u64::from(locality.weight)).sum();
    let mut endpoints = Vec::with_capacity(localities.iter().map(|locality| locality.endpoints.len()).sum());
    for locality in localities {
        let of_locality = share(locality.weight, all_localities);
        let in_locality = locality.endpoints.iter().map(|endpoint| u64::from(endpoint.weight)).sum();
        endpoints.extend(locality.endpoints.iter().map(|endpoint| {
            let product = (of_locality * share(endpoint.weight, in_locality)) >> FRACTION_BITS;
            LbEndpoint { weight: u32::try_from(product).unwrap_or(u32::MAX).max(1), ..endpoint.clone() }
        }));
    }
    endpoints
}

/// A share as a number with 31 binary digits after the point; at most 1.
fn share(weight: u32, total: u64) -> u64 {
    (u64::from(weight) << FRACTION_BITS) / total.max(1)
}

const FRACTION_BITS: u32 = 31;
