//! The endpoints of sessions (gRFC A55): found by address, in whatever state they are, draining ones too.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use crate::config::{EndpointAddresses, EndpointSet, HealthStatus, Locality};
use crate::policy::lb::{Connectivity, EndpointId};
use crate::runtime::connect::Connect;
use crate::sharded::Refs;

use super::Slot;
use super::endpoints::Endpoints;
use super::listing::Listing;
use super::published::Published;
use super::task::Task;

/// The endpoints of a publication by address: made when the first call of a session needs it.
pub(super) type ByAddress = Arc<OnceLock<HashMap<SocketAddr, EndpointId>>>;

/// The endpoint of a session.
pub(crate) enum SessionEndpoint<'a, T> {
    /// It can take a call.
    Ready(EndpointId, &'a Refs<Slot<T>>),
    /// It has no connection yet: the call waits for one.
    Connects(EndpointId),
    /// It is gone, fails, or may not take calls.
    Unusable,
}

/// What sessions need to know of an endpoint; part of its state.
#[derive(Debug)]
pub(super) struct SessionState {
    /// The state that the balancer sees, without ejections.
    phase: AtomicU8,
    /// The health by the control plane.
    health: AtomicU8,
}

impl Default for SessionState {
    fn default() -> Self {
        Self { phase: AtomicU8::new(IDLE), health: AtomicU8::new(HEALTHY) }
    }
}

impl SessionState {
    pub(super) fn set_connectivity(&self, state: &Connectivity) {
        let phase = match state {
            Connectivity::Idle => IDLE,
            Connectivity::Connecting => CONNECTING,
            Connectivity::Ready => READY,
            Connectivity::TransientFailure(_) => FAILED,
        };
        self.phase.store(phase, Ordering::Relaxed);
    }

    pub(super) fn set_health(&self, health: HealthStatus) {
        let health = match health {
            HealthStatus::Unknown => UNKNOWN,
            HealthStatus::Healthy => HEALTHY,
            HealthStatus::Draining => DRAINING,
        };
        self.health.store(health, Ordering::Relaxed);
    }

    fn health(&self) -> HealthStatus {
        match self.health.load(Ordering::Relaxed) {
            DRAINING => HealthStatus::Draining,
            UNKNOWN => HealthStatus::Unknown,
            _ => HealthStatus::Healthy,
        }
    }
}

impl<T> Published<T> {
    /// LB-66: the endpoint that has one of these addresses, if it may take calls of its sessions. One that is ready is preferred.
    pub(crate) fn session_endpoint(&self, addresses: &EndpointAddresses) -> SessionEndpoint<'_, T> {
        let mut connects = SessionEndpoint::Unusable;
        for address in addresses.as_slice() {
            let Some(id) = self.by_address().get(address).copied() else { continue };
            let Some(slot) = self.slot(id) else { continue };
            let session = &slot.state.session;
            if !slot.accounting.session_health.contains(&session.health()) || slot.load.outcomes.is_ejected()
            {
                continue;
            }
            match session.phase.load(Ordering::Relaxed) {
                READY => return SessionEndpoint::Ready(id, slot),
                IDLE | CONNECTING => connects = SessionEndpoint::Connects(id),
                _ => {}
            }
        }
        connects
    }

    fn by_address(&self) -> &HashMap<SocketAddr, EndpointId> {
        self.by_address.get_or_init(|| {
            let slots = (0..).map(EndpointId).zip(self.slots.iter());
            let slots = slots.filter_map(|(id, slot)| Some((id, slot.as_ref()?)));
            let addresses = slots.flat_map(|(id, slot)| {
                slot.addresses.as_slice().iter().map(move |address| (*address, id)).collect::<Vec<_>>()
            });
            addresses.collect()
        })
    }
}

impl<C: Connect> Endpoints<C> {
    /// LB-67: keeps the draining endpoints of `set`, which the balancer does not know, if sessions may use them. Returns those that
    /// are no longer kept.
    pub(super) fn keep_draining(&mut self, listing: &mut Listing, set: &EndpointSet) -> Vec<EndpointId> {
        let are_used = listing.accounting.session_health.contains(&HealthStatus::Draining);
        if !are_used && listing.draining.is_empty() {
            return Vec::new();
        }
        let mut draining = Vec::new();
        let localities = set.priorities.iter().flat_map(|priority| &priority.localities);
        for locality in localities.filter(|_| are_used) {
            draining.extend(self.draining_of(listing, locality));
        }
        let before = std::mem::replace(&mut listing.draining, draining);
        let gone: Vec<_> = before.into_iter().filter(|id| !listing.draining.contains(id)).collect();
        gone.into_iter().filter(|id| self.end_draining(listing, *id)).collect()
    }

    fn draining_of(&mut self, listing: &mut Listing, locality: &Locality) -> Vec<EndpointId> {
        let mut kept = Vec::new();
        let id = Arc::new(locality.id.clone());
        for endpoint in locality.endpoints.iter().filter(|one| one.health == HealthStatus::Draining) {
            kept.extend(self.drain(listing, endpoint, &id));
        }
        kept
    }
}

impl<C: Connect> Task<C> {
    /// A call of a session waits for this endpoint.
    pub(super) fn connect_for_session(&mut self, now: Instant, id: EndpointId) {
        let Some(entry) = self.endpoints.get_mut(id) else { return };
        entry.slot.state.wake_handled();
        entry.is_for_session = true;
        if std::mem::take(&mut entry.is_resting) {
            self.report(now, id, Connectivity::Idle);
        }
        self.connect(id);
        // The call may have picked before the last change of the endpoint.
        self.next.repeat_for_all();
    }
}

const IDLE: u8 = 0;
const CONNECTING: u8 = 1;
const READY: u8 = 2;
const FAILED: u8 = 3;

const UNKNOWN: u8 = 0;
const HEALTHY: u8 = 1;
const DRAINING: u8 = 2;
