//! Endpoints: addresses, weight and health, in localities and priorities.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::sync::Arc;

use crate::policy::matcher::Fraction;

use super::{EndpointCheck, Locality, Name};

/// All endpoints of a cluster, by priority.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct EndpointSet {
    /// Priority 0 first; no gaps. Empty: the cluster is unreachable.
    pub priorities: Vec<Priority>,
    /// Shares of calls to drop before any endpoint is picked, in order (gRFC A27).
    pub drops: Vec<DropCategory>,
}

impl EndpointSet {
    /// These priorities, and no drops.
    pub fn new(priorities: Vec<Priority>) -> Self {
        Self { priorities, drops: Vec::new() }
    }
}

/// The localities of one priority.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Priority {
    /// Each locality at most once.
    pub localities: Vec<Arc<Locality>>,
}

impl Priority {
    /// A priority of these localities.
    pub fn new(localities: impl IntoIterator<Item = Arc<Locality>>) -> Self {
        Self { localities: localities.into_iter().collect() }
    }
}

/// A share of calls that is refused (gRFC A27 `drop_overloads`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DropCategory {
    /// Named in errors, metrics and load reports.
    pub category: Name,
    /// How many calls.
    pub fraction: Fraction,
}

/// One endpoint of a locality.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Endpoint {
    /// What identifies it.
    pub addresses: EndpointAddresses,
    /// Share of the locality's calls under policies that use weights.
    pub weight: NonZeroU32,
    /// Its health by the control plane.
    pub health: HealthStatus,
    /// Name for `auto_host_rewrite` (gRFC A81) and telemetry; empty if unknown.
    pub hostname: Name,
    /// What few endpoints have.
    pub details: Option<Arc<EndpointDetails>>,
}

/// What few endpoints have: apart, because a cluster may have many endpoints.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub struct EndpointDetails {
    /// Position on a hash ring (gRFC A76); `None`: its first address.
    pub hash_key: Option<Name>,
    /// How its health is checked differently from that of the cluster's other endpoints; `None`: it is not.
    pub health_check: Option<EndpointCheck>,
    /// The HTTP proxy through which connections to it go, if its cluster's connections
    /// [go through proxies](super::ConnectionSettings::through_proxies). `None`: it is connected directly.
    // LB-79
    pub proxy: Option<SocketAddr>,
}

impl Endpoint {
    /// A healthy endpoint of weight 1 at one address.
    pub fn new(address: SocketAddr) -> Self {
        Self::at(address.into())
    }

    /// A healthy endpoint of weight 1 with several addresses.
    pub fn at(addresses: EndpointAddresses) -> Self {
        Self {
            addresses,
            weight: NonZeroU32::MIN,
            health: HealthStatus::Healthy,
            hostname: "".into(),
            details: None,
        }
    }

    /// With a position on a hash ring (gRFC A76).
    #[must_use]
    pub fn with_hash_key(self, hash_key: impl Into<Name>) -> Self {
        self.with(|details| details.hash_key = Some(hash_key.into()))
    }

    /// With its health checked in another way.
    #[must_use]
    pub fn with_health_check(self, check: EndpointCheck) -> Self {
        self.with(|details| details.health_check = Some(check))
    }

    /// With connections through this HTTP proxy, in clusters whose connections go through proxies.
    #[must_use]
    pub fn with_proxy(self, proxy: SocketAddr) -> Self {
        self.with(|details| details.proxy = Some(proxy))
    }

    fn with(mut self, change: impl FnOnce(&mut EndpointDetails)) -> Self {
        change(Arc::make_mut(self.details.get_or_insert_default()));
        self
    }

    /// Position on a hash ring; `None`: its first address.
    pub fn hash_key(&self) -> Option<&Name> {
        self.details.as_ref()?.hash_key.as_ref()
    }
}

/// The addresses of one endpoint, at least one, in the order of preference (gRFC A61).
///
/// Two lists are equal when they hold the same addresses in the same order; they mean the same endpoint when their
/// [`identity`](Self::identity) is equal.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EndpointAddresses(Arc<[SocketAddr]>);

impl EndpointAddresses {
    /// The first address and any further ones.
    pub fn new(first: SocketAddr, further: impl IntoIterator<Item = SocketAddr>) -> Self {
        Self(std::iter::once(first).chain(further).collect())
    }

    /// The preferred address.
    pub fn first(&self) -> SocketAddr {
        self.0[0]
    }

    /// What identifies an endpoint: the same addresses in an order that does not depend on preference.
    // LB-29
    pub fn identity(&self) -> Self {
        if self.0.is_sorted() {
            return self.clone();
        }
        let mut sorted = self.0.to_vec();
        sorted.sort_unstable();
        Self(sorted.into())
    }

    /// All addresses, preferred first.
    pub fn as_slice(&self) -> &[SocketAddr] {
        &self.0
    }
}

impl From<SocketAddr> for EndpointAddresses {
    fn from(address: SocketAddr) -> Self {
        Self::new(address, [])
    }
}

/// An endpoint's health by the control plane. Unhealthy endpoints are not in a configuration.
// EDS-11
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum HealthStatus {
    /// Nothing known: used.
    Unknown,
    /// Used.
    Healthy,
    /// Kept for calls of existing sessions only (gRFC A55): no other call is sent there.
    Draining,
}
