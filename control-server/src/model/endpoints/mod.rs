//! Endpoints of a service.

mod identity;
mod workloads;

use std::net::IpAddr;

use crate::resources::Locality;

pub(super) use identity::Callers;
pub(super) use workloads::{Workloads, is_selected};

/// An endpoint of one port.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Endpoint {
    pub(crate) locality: Locality,
    pub(crate) ip: IpAddr,
    pub(crate) port: u32,
    /// At least 1.
    pub(crate) weight: u32,
    /// The values of the labels that a cluster's failover goes by, in its order; empty: it goes by none.
    pub(crate) failover_labels: Vec<Option<String>>,
    /// Clients call it with mutual TLS, unless a rule says how.
    pub(crate) takes_mtls: bool,
}

/// The endpoints of a port: known ones, and names that clients resolve.
#[derive(Debug, Default)]
pub(super) struct Located {
    pub(super) endpoints: Vec<Endpoint>,
    pub(super) names: Vec<NamedEndpoint>,
}

/// An endpoint whose address clients resolve.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct NamedEndpoint {
    pub(super) host: String,
    pub(super) port: u32,
    /// At least 1.
    pub(super) weight: u32,
    /// Clients call it with mutual TLS, unless a rule says how.
    pub(super) takes_mtls: bool,
}

impl Located {
    pub(super) fn is_empty(&self) -> bool {
        self.endpoints.is_empty() && self.names.is_empty()
    }
    /// Whether clients call any of them with mutual TLS by themselves.
    pub(super) fn takes_mtls(&self) -> bool {
        self.endpoints.iter().any(|one| one.takes_mtls) || self.names.iter().any(|one| one.takes_mtls)
    }

    /// Those that clients can call where no rule says how: all of a port are called alike, so where some take mutual TLS only,
    /// the others are left out.
    pub(super) fn alike(mut self) -> Self {
        if self.takes_mtls() {
            self.endpoints.retain(|one| one.takes_mtls);
            self.names.retain(|one| one.takes_mtls);
        }
        self
    }
}

/// The label of an entry of `failoverPriority`: `label`, or `label=value`.
pub(crate) fn label_name(entry: &str) -> &str {
    entry.split_once('=').map_or(entry, |(name, _)| name)
}
