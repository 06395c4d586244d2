//! HTTP filters: which are known, where they may stand, and what overrides them (gRFC A39).
//!
//! A new filter is a row of [`REGISTRY`].

mod chain;
mod overrides;
#[cfg(test)]
mod tests;

use envoy_types::pb::envoy::extensions::filters::http::router::v3::Router;
use envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3::HttpFilter as ProtoFilter;

use super::extension::Extension;
use super::invalid::Checked;
use super::transport_socket::Side;

pub use chain::HttpFilter;
pub use overrides::{FilterPlace, FilterSwitch};
pub(super) use overrides::{Switches, read as overrides};

type Check = fn(&Extension<'_>) -> Checked<()>;

/// A kind of HTTP filter.
#[derive(Debug)]
struct FilterType {
    /// The type of its configuration in a listener.
    type_name: &'static str,
    /// Where it can run.
    sides: &'static [Side],
    /// Whether it ends the chain.
    terminal: bool,
    /// Checks its configuration.
    check: Check,
    /// The type of its overrides and their check; `None`: it cannot be overridden.
    overrides: Option<(&'static str, Check)>,
}

/// The filters that are known.
const REGISTRY: &[FilterType] = &[FilterType {
    type_name: "envoy.extensions.filters.http.router.v3.Router",
    sides: &[Side::Client, Side::Server],
    terminal: true,
    // LDS-12
    check: |extension| extension.well_formed::<Router>(),
    overrides: None,
}];

/// Checks a listener's filters (LDS-06 to LDS-11), and keeps those that are known.
pub(super) fn chain(filters: &[ProtoFilter], side: Side) -> Checked<Vec<HttpFilter>> {
    chain::read(filters, side, REGISTRY)
}
