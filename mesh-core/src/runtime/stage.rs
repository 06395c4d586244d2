//! The stages of a call, and which one follows.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use pin_project_lite::pin_project;
use tokio::sync::futures::OwnedNotified;
use tokio::time::Sleep;

use super::attempt::{Attempt, Outcome};
use super::begin::Begin;
use super::call::{Call, CallFlight, Next, Race};
use super::connect::{Connect, Connection, SendFailure};
use super::flight::{Carrier, Flight};
use super::target::{Picked, Refusal};
use super::{MeshError, Protocol, RequestBody, WaitForReady};

/// A call in flight, with its deadline if it has one.
pub(super) type CallCarrier<P, C> = Carrier<<C as Connect>::Connection, RequestBody<<P as Protocol>::Body>>;

pin_project! {
    #[project = StageProjection]
    pub(super) enum Stage<P: Protocol, C: Connect> {
        Begin {
            begin: Begin<P, C>,
        },
        Pick,
        // for a publication of the cluster
        Wait {
            #[pin]
            helped: OwnedNotified,
        },
        // before another attempt
        Backoff {
            sleep: Pin<Box<Sleep>>,
        },
        Fly {
            carrier: CallCarrier<P, C>,
        },
        // several attempts at the same time
        Race {
            race: Box<Race<P, C>>,
        },
        Failed {
            error: Option<MeshError>,
        },
    }
}

impl<P: Protocol, C: Connect> Stage<P, C> {
    pub(super) fn begin(begin: Begin<P, C>) -> Self {
        Self::Begin { begin }
    }

    /// The stage of a call whose next attempt has been picked an endpoint, or that waits for one.
    #[inline(always)]
    pub(super) fn picked(call: &mut Call<P, C>) -> Result<Self, MeshError> {
        if call.is_hedged() {
            return Ok(Self::Race { race: Box::new(Race::new(call)) });
        }
        match call.pick() {
            Picked::Endpoint(attempt, place) => {
                // not by `?`, which would copy the flight
                match call.send(attempt, place) {
                    Ok(flight) => Ok(Self::fly(call, flight)),
                    Err(error) => Err(error),
                }
            }
            Picked::Queue(attempt, place) => {
                call.start_waiting()?;
                Ok(Self::fly(call, Flight::Queued { place, attempt }))
            }
            Picked::Wait(seen) => Self::until_helped(call, seen),
            Picked::Failed(refusal) => Self::refused(call, refusal),
        }
    }

    /// The stage that waits for a later publication than version `seen`, then picks again.
    pub(super) fn until_helped(call: &mut Call<P, C>, seen: u64) -> Result<Self, MeshError> {
        call.start_waiting()?;
        Ok(match call.cluster.next_help(call.wait_for_ready, seen) {
            Some(helped) => Self::Wait { helped },
            None => Self::Pick,
        })
    }

    #[inline(always)]
    pub(super) fn fly(call: &Call<P, C>, flight: CallFlight<P, C>) -> Self {
        Self::Fly { carrier: Carrier::new(&call.cluster.context.deadlines, call.deadline, flight) }
    }

    /// The stage that waits, then makes another attempt.
    pub(super) fn after(wait: Duration) -> Self {
        match wait {
            Duration::ZERO => Self::Pick,
            wait => Self::Backoff { sleep: Box::pin(tokio::time::sleep(wait)) },
        }
    }

    /// The stage after an attempt without a response.
    pub(super) fn after_send_failure(
        call: &mut Call<P, C>,
        failure: SendFailure<RequestBody<P::Body>>,
        attempt: Attempt<C::Connection>,
    ) -> Result<Self, MeshError> {
        match call.after_send_failure(failure, attempt) {
            Next::Attempt(wait) => Ok(Self::after(wait)),
            Next::Fail(error) => Err(error),
        }
    }

    /// The stage of a call that has waited for room on a connection; `None`: it is being sent, and stays with its carrier.
    pub(super) fn placed(
        call: &mut Call<P, C>,
        place: Option<<C::Connection as Connection>::Place>,
        mut attempt: Attempt<C::Connection>,
        carrier: &mut CallCarrier<P, C>,
    ) -> Result<Option<Self>, MeshError> {
        let Some(place) = place else {
            // The endpoint was removed, or its connection has closed.
            attempt.finish(&Outcome::NotSent);
            return Ok(Some(Self::Pick));
        };
        let flight = call.send(attempt, place)?;
        carrier.put(flight).map_err(|overdue| call.overrun(overdue))?;
        Ok(None)
    }

    /// The step after a failed pick: wait for the cluster to change, retry by the route's policy, or fail.
    pub(super) fn refused(call: &mut Call<P, C>, refusal: Refusal) -> Result<Self, MeshError> {
        match (refusal.temporary, call.wait_for_ready) {
            (Some((seen, _)), WaitForReady(true)) => Self::until_helped(call, seen),
            (Some((_, cluster)), WaitForReady(false)) => {
                call.end_waiting();
                match call.after_refusal(refusal.error, &cluster) {
                    Next::Attempt(wait) => Ok(Self::after(wait)),
                    Next::Fail(error) => Err(error),
                }
            }
            // RT-26, RT-46: final, also for calls that wait for ready
            (None, _) => Err(refusal.error),
        }
    }

    /// Ready when the present attempt has taken too long (RT-53): it is cancelled, and the stage is the one that follows.
    pub(super) fn poll_per_try(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        call: &mut Call<P, C>,
    ) -> Poll<Result<(), MeshError>> {
        if !matches!(*self, Self::Pick | Self::Wait { .. } | Self::Fly { .. }) {
            return Poll::Pending;
        }
        let timeout = ready!(call.poll_per_try(cx));
        let overrun = match self.as_mut().project() {
            StageProjection::Fly { carrier } => match carrier.give_up() {
                Ok(overrun) => overrun,
                Err(overdue) => return Poll::Ready(Err(call.overrun(overdue))),
            },
            _ => None,
        };
        Poll::Ready(match call.after_per_try_timeout(timeout, overrun) {
            Next::Attempt(wait) => {
                self.set(Self::after(wait));
                Ok(())
            }
            Next::Fail(error) => Err(error),
        })
    }

    /// For `Debug`.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Begin { begin } => begin.name(),
            Self::Pick => "picking an endpoint",
            Self::Wait { .. } => "waiting for an endpoint",
            Self::Backoff { .. } => "waiting for another attempt",
            Self::Fly { .. } => "at an endpoint",
            Self::Race { .. } => "at endpoints",
            Self::Failed { .. } => "failed",
        }
    }
}
