//! Which route, cluster and endpoint took a call.

use std::net::SocketAddr;

use crate::config::Name;

/// Route, cluster and endpoint of a call that has a response, and its number of attempts.
///
/// A response's [body](super::ResponseBody::take_call_info) has it; `mesh-tonic` puts it among the extensions of the response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallInfo {
    pub(super) route: Name,
    pub(super) cluster: Name,
    pub(super) endpoint: SocketAddr,
    pub(super) attempts: u32,
}

impl CallInfo {
    /// The route by its name, or by its path if it has none: `/shop.Cart/*`.
    pub fn route(&self) -> &str {
        &self.route
    }

    /// The cluster that the route chose.
    pub fn cluster(&self) -> &str {
        &self.cluster
    }

    /// The endpoint that answered: the first of its addresses.
    pub fn endpoint(&self) -> SocketAddr {
        self.endpoint
    }

    /// How many attempts were sent to endpoints, the last one included.
    pub fn attempts(&self) -> u32 {
        self.attempts
    }
}
