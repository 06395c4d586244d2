//! What an attempt occupies while it runs.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::config::Name;
use crate::policy::lb::EndpointLoad;

use super::circuit_breaker::Admission;
use super::retry::RetryPermit;

/// What an attempt occupies, from the pick to the last byte of the response: a place in its cluster, one at its
/// endpoint, and a share of the retry budget. Dropping it gives all of it back.
#[derive(Debug)]
pub(crate) struct Attempt {
    pub(crate) admission: Admission,
    pub(crate) endpoint: InFlightAt,
    pub(crate) _permit: Option<RetryPermit>,
}

impl Attempt {
    pub(crate) fn cluster(&self) -> &Name {
        &self.admission.load().cluster
    }
}

/// A call in flight at an endpoint.
#[derive(Debug)]
pub(crate) struct InFlightAt {
    load: Arc<EndpointLoad>,
    /// For error texts.
    pub(crate) address: SocketAddr,
}

impl InFlightAt {
    pub(crate) fn new(load: &Arc<EndpointLoad>, address: SocketAddr) -> Self {
        load.in_flight.fetch_add(1, Ordering::Relaxed);
        Self { load: load.clone(), address }
    }

    /// What identifies the endpoint.
    pub(crate) fn load(&self) -> &Arc<EndpointLoad> {
        &self.load
    }
}

impl Drop for InFlightAt {
    fn drop(&mut self) {
        self.load.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}
