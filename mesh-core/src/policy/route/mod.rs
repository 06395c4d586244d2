//! Routing: which route of which virtual host takes a request, which cluster, and with which hash.
//!
//! A [`RouteTable`] is compiled once per configuration and gives the same answers as a scan over all virtual hosts
//! and routes in configured order, without that scan (gRFC A28). Nothing here allocates per request.

mod domain_index;
mod exact_table;
pub mod hash_policy;
mod head;
mod path_index;
mod prefix_trie;
mod table;
#[cfg(test)]
mod tests;
mod weighted_clusters;

pub use head::RequestHead;
pub use table::{NoMatch, RouteIndex, RouteTable};
pub use weighted_clusters::WeightedClusters;

/// Whether a key's ASCII case matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Case {
    Matters,
    Ignored,
}
