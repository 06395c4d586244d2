//! HTTP filters: the known kinds, their order, and their overrides (gRFC A39).
//!
//! The known filters are the [`HttpFilterType`]s in the [`FilterRegistry`], and the router, which ends every chain and has
//! no code of its own here.

mod chain;
mod ext_authz;
mod fault;
mod filter_type;
mod header_mutation;
mod jwt_authn;
mod local_rate_limit;
mod overrides;
mod rate_limit_action;
mod rbac;
mod registry;
mod stateful_session;
#[cfg(test)]
mod tests;

pub(super) use chain::read as chain;
pub use filter_type::{FilterSides, HttpFilterType};
pub(super) use overrides::read as overrides;
pub use rbac::{AuditLoggerType, RbacFilter};
pub use registry::FilterRegistry;

/// The filter that ends every chain.
const ROUTER: &str = "envoy.extensions.filters.http.router.v3.Router";
