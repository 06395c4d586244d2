//! A cluster as calls see it.

use std::sync::Arc;

use rand::Rng;

use crate::config::{Name, ResourceError};
use crate::policy::lb::{EndpointLoad, Pick, PickContext};
use crate::runtime::attempt::InFlightAt;
use crate::runtime::balance::Slot;
use crate::runtime::circuit_breaker::{Admission, ClusterLoad};
use crate::runtime::connect::{Connect, Connection, Reserve};
use crate::runtime::load_report::Unsent;
use crate::runtime::{MeshError, MeshErrorKind};

use super::TargetContext;
use super::leaf::{Chosen, Leaf, Leaves, Version};

/// A cluster of a snapshot.
pub(crate) struct Cluster<C: Connect> {
    name: Name,
    leaves: Result<Leaves<C>, ResourceError>,
    pub(crate) context: Arc<TargetContext>,
}

/// Where a call stands after a pick.
pub(crate) enum Picked<P> {
    /// It may be sent here.
    Endpoint(Admitted<P>),
    /// There is nothing yet: wait until the cluster has changed from this version.
    Wait(Version),
    /// There is nothing to be had.
    Failed(Refusal),
}

/// A connection, with the places that the call occupies from now on.
pub(crate) struct Admitted<P> {
    pub(crate) place: P,
    pub(crate) admission: Admission,
    pub(crate) endpoint: InFlightAt,
    /// Where load is reported.
    pub(crate) unsent: Option<Unsent>,
}

/// Why there is nothing to be had.
pub(crate) struct Refusal {
    pub(crate) error: MeshError,
    /// Until when nothing will change, and where a retry would be counted; `None`: it is final (RT-26, RT-46).
    pub(crate) temporary: Option<(Version, Arc<ClusterLoad>)>,
}

impl From<MeshError> for Refusal {
    /// A final one.
    fn from(error: MeshError) -> Self {
        Self { error, temporary: None }
    }
}

/// How often a pick is repeated that names an endpoint to be avoided or one without a connection.
const REPICKS: usize = 2;

impl<C: Connect> Cluster<C> {
    pub(super) fn new(
        name: Name,
        leaves: Result<Leaves<C>, ResourceError>,
        context: Arc<TargetContext>,
    ) -> Self {
        Self { name, leaves, context }
    }

    /// Picks an endpoint and takes the places that the call needs. `avoid` is the endpoint that has just failed the
    /// call: another one is taken if one is ready.
    pub(crate) fn pick(
        &self,
        context: &PickContext<'_>,
        avoid: Option<&Arc<EndpointLoad>>,
        rng: &mut dyn Rng,
    ) -> Picked<<C::Connection as Connection>::Place> {
        let leaves = match &self.leaves {
            Ok(leaves) => leaves,
            // RT-26
            Err(error) => return self.refuse(MeshErrorKind::Cluster, error.to_string()),
        };
        let Chosen { leaf, published, version } = leaves.choose();
        for round in 0..=REPICKS {
            let id = match published.picker.pick(context, rng) {
                Pick::Endpoint(id) => id,
                // RT-26
                Pick::Wait(_) | Pick::Fail(_) if leaf.gone.get().is_some() => {
                    let reason = leaf.gone.get().map(ToString::to_string);
                    return self.refuse(MeshErrorKind::Cluster, reason.unwrap_or_default());
                }
                Pick::Wait(endpoint) => {
                    leaf.handle.wake(endpoint);
                    break;
                }
                Pick::Fail(reason) => {
                    let error = self.error(MeshErrorKind::NoEndpoint, reason.to_string());
                    let temporary = Some((version, leaf.load.clone()));
                    return Picked::Failed(Refusal { error, temporary });
                }
                Pick::Drop(category) => {
                    if let Some(reporting) = &leaf.reporting {
                        reporting.drop_in(&category);
                    }
                    let reason = format!("the control plane wants this call dropped ({category})");
                    return self.refuse(MeshErrorKind::Dropped, reason);
                }
            };
            let Some(slot) = published.slot(id) else { continue };
            if round < REPICKS && avoid.is_some_and(|avoid| Arc::ptr_eq(avoid, &slot.load)) {
                continue;
            }
            if let Some(Reserve::Place(place)) = slot.reserve() {
                return self.admit(leaf, place, slot);
            }
        }
        Picked::Wait(version)
    }

    /// LB-22: the circuit breaker comes after the drops.
    fn admit<P>(&self, leaf: &Leaf<C>, place: P, slot: &Slot<C::Connection>) -> Picked<P> {
        match Admission::request(&leaf.load, leaf.max_requests) {
            Some(admission) => Picked::Endpoint(Admitted {
                place,
                admission,
                endpoint: InFlightAt::new(&slot.load, slot.addresses.first()),
                unsent: leaf.reporting.as_ref().map(|reporting| reporting.attempt(&slot.locality)),
            }),
            None => {
                // TR-67
                if let Some(reporting) = &leaf.reporting {
                    reporting.drop_over_limit();
                }
                let reason = format!("{} calls are in flight, the most allowed", leaf.max_requests.0);
                self.refuse(MeshErrorKind::CircuitBreaker, reason)
            }
        }
    }

    /// Completes when something has changed since `seen`.
    pub(crate) async fn changed(self: Arc<Self>, seen: Version) {
        if let Ok(leaves) = &self.leaves {
            leaves.changed(seen).await;
        }
    }

    /// The last endpoint error, if no endpoint can be reached.
    pub(crate) fn last_endpoint_error(&self) -> Option<Arc<str>> {
        let leaves = self.leaves.as_ref().ok()?;
        leaves.choose().failure()
    }

    pub(crate) fn error(&self, kind: MeshErrorKind, reason: String) -> MeshError {
        self.context.error(kind, reason).in_cluster(&self.name)
    }

    fn refuse<T>(&self, kind: MeshErrorKind, reason: String) -> Picked<T> {
        Picked::Failed(self.error(kind, reason).into())
    }
}
