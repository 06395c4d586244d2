//! Routing: which route of which virtual host takes a request, which cluster, and with which hash.
//!
//! A [`RouteTable`] is compiled once per configuration and gives the same answers as a scan over all virtual hosts
//! and routes in configured order, without that scan (gRFC A28). Nothing here allocates per request.

mod domain_index;
mod exact_table;
pub(crate) mod hash_policy;
mod head;
mod path_index;
mod prefix_trie;
mod table;
#[cfg(test)]
mod tests;
mod weighted_clusters;

pub(crate) use head::RequestHead;
#[cfg(test)]
pub(crate) use table::RouteIndex;
pub(crate) use table::{NoMatch, RouteTable};
pub(crate) use weighted_clusters::WeightedClusters;

/// Whether a key's ASCII case matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Case {
    Matters,
    Ignored,
}
