//! HTTP filters: which are known, where they may stand, and what overrides them (gRFC A39).
//!
//! A filter is known by an [`HttpFilterType`] in the [`FilterRegistry`]. The router, which ends every chain and runs no
//! code of its own here, is known without one.

mod chain;
mod error;
mod fault;
mod filter_type;
mod header_mutation;
mod overrides;
mod payload;
mod registry;
#[cfg(test)]
mod tests;

pub(super) use chain::read as chain;
pub use error::FilterError;
pub use filter_type::HttpFilterType;
pub(super) use overrides::read as overrides;
pub use payload::FilterPayload;
pub use registry::FilterRegistry;

/// The filter that ends every chain.
const ROUTER: &str = "envoy.extensions.filters.http.router.v3.Router";
