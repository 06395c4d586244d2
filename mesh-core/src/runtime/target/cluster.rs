//! Picks endpoints for calls.

use std::sync::Arc;

use rand::Rng;
use tokio::sync::futures::OwnedNotified;

use crate::config::{Name, OtherEndpoints, ResourceError, RoutingPriority};
use crate::filter::{LostSession, PreferredEndpoint};
use crate::policy::lb::{Connectivity, EndpointLoad, Pick, PickContext};
use crate::runtime::accounting::Accounting;
use crate::runtime::attempt::Attempt;
use crate::runtime::balance::{ClusterHandle, Published, SessionEndpoint, Slot, WaitForPlace};
use crate::runtime::circuit_breaker::PendingCall;
use crate::runtime::connect::{Connect, Connection, Reserve};
use crate::runtime::error::Reason;
use crate::runtime::{FullEndpoints, MeshError, MeshErrorKind, WaitForReady};
use crate::sharded::Refs;

use super::TargetContext;

/// A cluster of a snapshot.
pub(crate) struct Cluster<C: Connect> {
    name: Name,
    handle: Result<Arc<ClusterHandle<C>>, ResourceError>,
    pub(crate) context: Arc<TargetContext>,
}

/// The result of a pick.
pub(crate) enum Picked<T: Connection> {
    /// The call is counted in the cluster and at this endpoint, and can be sent.
    Endpoint(Attempt<T>, T::Place),
    /// The call is counted in the cluster, and waits for room on a connection of this endpoint.
    Queue(Attempt<T>, WaitForPlace<T>),
    /// No endpoint yet: the call waits for a publication that is newer than this version.
    Wait(u64),
    /// No endpoint can be reached, or the call was dropped or refused.
    Failed(Refusal),
}

/// Why a pick failed.
pub(crate) struct Refusal {
    pub(crate) error: MeshError,
    /// The version of the publication that failed the pick, and the cluster's limits for a retry; `None`: the failure is final (RT-26,
    /// RT-46).
    pub(crate) temporary: Option<(u64, Arc<Accounting>)>,
}

impl From<MeshError> for Refusal {
    /// A final failure.
    fn from(error: MeshError) -> Self {
        Self { error, temporary: None }
    }
}

/// How often a pick is repeated because of an endpoint that is to be avoided, or has no connection.
const REPICKS: usize = 2;

/// How often a pick is repeated because of an endpoint without room.
const PASSES: usize = 8;

/// The endpoints that an attempt avoids: those of earlier attempts of its call.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Avoid<'a> {
    pub(crate) endpoints: &'a [Arc<EndpointLoad>],
    pub(crate) how: OtherEndpoints,
    /// The endpoint of the call's session, which is taken even if an earlier attempt was there.
    pub(crate) preferred: Option<&'a PreferredEndpoint>,
}

impl Avoid<'_> {
    fn repicks(self) -> usize {
        match self.how {
            OtherEndpoints::Prefer => REPICKS,
            OtherEndpoints::Repick(times) => times as usize,
        }
    }

    #[inline(always)]
    fn contains(self, endpoint: &Arc<EndpointLoad>) -> bool {
        !self.endpoints.is_empty() && self.endpoints.iter().any(|avoided| Arc::ptr_eq(avoided, endpoint))
    }

    /// C24: with the same hash a hashing balancer would pick the same endpoint again.
    fn rehash(self, context: &mut PickContext<'_>) {
        if let OtherEndpoints::Repick(_) = self.how {
            context.hash = context.hash.map(|hash| hash.wrapping_mul(SPREAD).rotate_left(31));
        }
    }
}

/// An odd number with its bits evenly set, so that hashes differ in all bits.
const SPREAD: u64 = 0x9E37_79B9_7F4A_7C15;

impl<C: Connect> Cluster<C> {
    /// A cluster, or why there is none.
    pub(super) fn new(
        name: Name,
        handle: Result<Arc<ClusterHandle<C>>, ResourceError>,
        context: Arc<TargetContext>,
    ) -> Self {
        Self { name, handle, context }
    }

    /// Picks an endpoint, and counts the call in the cluster and at the endpoint. Another one than those to avoid is taken if one
    /// is ready. An endpoint without room is skipped if a repeated pick finds one with
    /// room, unless the mesh's settings make calls wait at a full endpoint. A call without a hash gets one for its further picks
    /// if the policy needs one.
    pub(crate) fn pick(
        &self,
        context: &mut PickContext<'_>,
        avoid: Avoid<'_>,
        rng: &mut dyn Rng,
    ) -> Picked<C::Connection> {
        let handle = match &self.handle {
            Ok(handle) => handle,
            // RT-26
            Err(error) => return self.refuse(MeshErrorKind::Cluster, error),
        };
        handle.mark_used();
        let published = handle.published();
        // RT-73: drawn once, so that a call that waits does not have another endpoint connected each time it picks
        if context.hash.is_none() && published.accounting.reads_hash {
            context.hash = Some(rng.next_u64());
        }
        if let Some(preferred) = avoid.preferred
            && let Some(picked) = self.pick_preferred(handle, &published, preferred, context.priority, rng)
        {
            return picked;
        }
        self.pick_any(handle, &published, context, avoid, rng)
    }

    /// Picks an endpoint as the policy says.
    #[inline]
    fn pick_any(
        &self,
        handle: &ClusterHandle<C>,
        published: &Published<C::Connection>,
        context: &PickContext<'_>,
        avoid: Avoid<'_>,
        rng: &mut dyn Rng,
    ) -> Picked<C::Connection> {
        let mut full = None;
        let (mut repicks, mut passes) = (0, 0);
        let most = avoid.repicks().max(REPICKS);
        let mut context = *context;
        while repicks <= most && passes <= PASSES {
            let pick = published.picker.pick(&context, rng);
            // RT-26
            if matches!(pick, Pick::Wait(_) | Pick::Fail(_))
                && let Some(error) = handle.removed()
            {
                return self.refuse(MeshErrorKind::Cluster, error);
            }
            let id = match pick {
                Pick::Endpoint(id) => id,
                Pick::EndpointInstead { endpoint, idle } => {
                    handle.wake(Some(idle));
                    endpoint
                }
                Pick::Wait(_) if handle.has_ended() => return self.runtime_ended(),
                Pick::Wait(endpoint) => {
                    handle.wake(endpoint);
                    break;
                }
                Pick::Fail(_) if handle.has_ended() => return self.runtime_ended(),
                Pick::Fail(reason) => {
                    let error = self.error(MeshErrorKind::NoEndpoint, reason);
                    let temporary = Some((published.version, published.accounting.clone()));
                    return Picked::Failed(Refusal { error, temporary });
                }
                Pick::Drop(category) => {
                    published.accounting.drop_in(&category);
                    return self.refuse(MeshErrorKind::Dropped, Reason::Dropped(category));
                }
            };
            repicks += 1;
            let Some(slot) = published.slot(id) else { continue };
            if avoid.contains(&slot.load) && repicks <= avoid.repicks() {
                avoid.rehash(&mut context);
                continue;
            }
            match slot.reserve() {
                Some(Reserve::Place(place)) => {
                    return self.admit(slot, context.priority, |attempt| Picked::Endpoint(attempt, place));
                }
                Some(Reserve::Full) => {
                    // S6: another endpoint may have room; a full one does not count as a repetition.
                    (repicks, passes) = (repicks - 1, passes + 1);
                    let is_same = full.replace(slot).is_some_and(|before| std::ptr::eq(before, slot));
                    if is_same || self.context.queue.full_endpoints == FullEndpoints::Wait {
                        break;
                    }
                }
                Some(Reserve::Closed) => {}
                None => handle.on_missing(id),
            }
        }
        match full {
            Some(slot) => self.queue(slot, context.priority),
            None if handle.has_ended() => self.runtime_ended(),
            None => Picked::Wait(published.version),
        }
    }

    /// LB-66: picks the endpoint of a session. `None`: it cannot take the call, which goes to another one.
    #[cold]
    fn pick_preferred(
        &self,
        handle: &ClusterHandle<C>,
        published: &Published<C::Connection>,
        preferred: &PreferredEndpoint,
        priority: RoutingPriority,
        rng: &mut dyn Rng,
    ) -> Option<Picked<C::Connection>> {
        if let Some(error) = handle.removed() {
            return Some(self.refuse(MeshErrorKind::Cluster, error));
        }
        if let Some(category) = published.draw_drop(rng) {
            published.accounting.drop_in(&category);
            return Some(self.refuse(MeshErrorKind::Dropped, Reason::Dropped(category)));
        }
        match published.session_endpoint(&preferred.addresses) {
            SessionEndpoint::Ready(id, slot) => match slot.reserve() {
                Some(Reserve::Place(place)) => {
                    Some(self.admit(slot, priority, |attempt| Picked::Endpoint(attempt, place)))
                }
                Some(Reserve::Full) => Some(self.queue(slot, priority)),
                Some(Reserve::Closed) | None => {
                    handle.connect_for_session(id);
                    Some(Picked::Wait(published.version))
                }
            },
            SessionEndpoint::Connects(id) => {
                handle.connect_for_session(id);
                Some(Picked::Wait(published.version))
            }
            SessionEndpoint::Unusable if preferred.lost == LostSession::Fail => {
                let reason = "the endpoint of the call's session cannot take it";
                Some(self.refuse(MeshErrorKind::NoEndpoint, reason))
            }
            SessionEndpoint::Unusable => None,
        }
    }

    /// LB-22: the circuit breaker comes after the drops.
    fn admit(
        &self,
        slot: &Refs<Slot<C::Connection>>,
        priority: RoutingPriority,
        admitted: impl FnOnce(Attempt<C::Connection>) -> Picked<C::Connection>,
    ) -> Picked<C::Connection> {
        match Attempt::admit(slot, priority) {
            Some(attempt) => admitted(attempt),
            None => {
                let limit = slot.accounting.limits(priority).max_requests;
                self.refuse(MeshErrorKind::CircuitBreaker, Reason::MaxRequests(limit))
            }
        }
    }

    /// LB-78: the call waits for room at this endpoint, within the circuit breaker's limit.
    fn queue(&self, slot: &Refs<Slot<C::Connection>>, priority: RoutingPriority) -> Picked<C::Connection> {
        let limit = self.context.queue.max_queued;
        match slot.queue(limit) {
            Some(place) => self.admit(slot, priority, |attempt| Picked::Queue(attempt, place)),
            None => {
                let reason = Reason::MaxQueued(limit, slot.addresses.first());
                self.refuse(MeshErrorKind::QueueFull, reason)
            }
        }
    }

    /// LB-27: a call of this priority begins to wait. `None`: the number of those that wait is not limited.
    #[cold]
    pub(crate) fn start_waiting(
        &self,
        priority: RoutingPriority,
    ) -> Result<Option<Box<PendingCall>>, MeshError> {
        let Some(accounting) = self.accounting() else { return Ok(None) };
        let Some(limit) = accounting.limits(priority).max_pending else { return Ok(None) };
        match PendingCall::new(&accounting.load, priority, limit) {
            Some(pending) => Ok(Some(Box::new(pending))),
            None => {
                accounting.drop_over_limit();
                Err(self.error(MeshErrorKind::CircuitBreaker, Reason::MaxPending(limit)))
            }
        }
    }

    fn runtime_ended(&self) -> Picked<C::Connection> {
        let reason = "the tokio runtime on which the channel was made has been shut down, and its connections with it; \
                      make a channel in the runtime that calls";
        self.refuse(MeshErrorKind::RuntimeEnded, reason)
    }

    /// See [`ClusterHandle::next_help`].
    pub(crate) fn next_help(&self, wait: WaitForReady, seen: u64) -> Option<OwnedNotified> {
        self.handle.as_ref().ok()?.next_help(wait, seen)
    }

    /// Completes when there is a newer publication than version `seen`.
    pub(crate) async fn changed(self: Arc<Self>, seen: u64) {
        if let Ok(handle) = &self.handle {
            handle.changed(seen).await;
        }
    }

    /// Its limits, and the counts of its calls; `None`: the control plane does not have the cluster.
    pub(crate) fn accounting(&self) -> Option<Arc<Accounting>> {
        Some(self.handle.as_ref().ok()?.published().accounting.clone())
    }

    /// Its connectivity; failed if the control plane does not have the cluster.
    pub(super) fn connectivity(&self) -> Connectivity {
        match &self.handle {
            Ok(handle) => handle.published().state.clone(),
            Err(error) => Connectivity::TransientFailure(error.text().clone()),
        }
    }

    /// The version of its last publication, for [`changed`](Self::changed).
    pub(super) fn version(&self) -> u64 {
        self.handle.as_ref().map_or(0, |handle| handle.published().version)
    }

    /// Connects without a call.
    pub(super) fn exit_idle(&self) {
        if let Ok(handle) = &self.handle {
            handle.wake(None);
        }
    }

    /// The last endpoint error, if no endpoint can be reached.
    pub(crate) fn last_endpoint_error(&self) -> Option<Arc<str>> {
        match &self.handle.as_ref().ok()?.published().state {
            Connectivity::TransientFailure(reason) => Some(reason.clone()),
            Connectivity::Idle | Connectivity::Connecting | Connectivity::Ready => None,
        }
    }

    pub(crate) fn error(&self, kind: MeshErrorKind, reason: impl Into<Reason>) -> MeshError {
        self.context.error(kind, reason).in_cluster(&self.name)
    }

    fn refuse(&self, kind: MeshErrorKind, reason: impl Into<Reason>) -> Picked<C::Connection> {
        Picked::Failed(self.error(kind, reason).into())
    }
}
