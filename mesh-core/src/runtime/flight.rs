//! The in-flight part of a call: from the choice of its endpoint to the last byte of its response.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::Response;
use tokio::time::Instant;

use super::attempt::{Attempt, Outcome};
use super::balance::WaitForPlace;
use super::connect::{Connection, SendBody, SendFailure};
use super::timeout::{Deadlines, Overdue, Timed};

/// The in-flight part of a call.
pub(crate) enum Flight<C: Connection, B: SendBody> {
    /// It waits for room on the endpoint's connection.
    Queued { place: WaitForPlace<C>, attempt: Attempt<C> },
    /// The request is being sent, or the call waits for the response's head.
    Sending { response: C::Call<B>, attempt: Attempt<C> },
    /// The response's body is being received.
    Streaming { body: C::ResponseBody, attempt: Attempt<C> },
}

/// The end of a state before the response's body.
pub(crate) enum Landed<C: Connection, B> {
    /// Room on the connection; `None`: the call picks again.
    Place(Option<C::Place>),
    /// The response's head, or a failure without one.
    Head(Result<Response<C::ResponseBody>, SendFailure<B>>),
}

/// Data of a flight whose deadline has passed, for the error's text.
#[derive(Debug)]
pub(crate) struct Overrun<C> {
    pub(crate) attempt: Attempt<C>,
    /// It was waiting for room on a connection.
    pub(crate) was_queued: bool,
}

/// A flight, with its deadline if it has one. Without a deadline it needs no allocation.
pub(crate) enum Carrier<C: Connection, B: SendBody> {
    Unlimited(Option<Flight<C, B>>),
    Timed(TimedFlight<C, B>),
}

/// The error of a flight whose deadline has passed.
pub(crate) type Late<C> = Overdue<Overrun<C>>;

pub(crate) type TimedFlight<C, B> = Timed<Flight<C, B>, Overrun<C>>;

impl<C: Connection, B: SendBody> Flight<C, B> {
    #[inline(always)]
    fn poll_landed(&mut self, cx: &mut Context<'_>) -> Poll<Landed<C, B>> {
        match self {
            Self::Queued { place, .. } => place.as_mut().poll(cx).map(Landed::Place),
            Self::Sending { response, .. } => Pin::new(response).poll(cx).map(Landed::Head),
            Self::Streaming { .. } => Poll::Pending,
        }
    }

    fn into_attempt(self) -> Attempt<C> {
        match self {
            Self::Queued { attempt, .. }
            | Self::Sending { attempt, .. }
            | Self::Streaming { attempt, .. } => attempt,
        }
    }

    /// Cancels the call because its deadline has passed, and removes it from all counts.
    fn overrun(self) -> Overrun<C> {
        let was_queued = matches!(self, Self::Queued { .. });
        let mut attempt = self.into_attempt();
        attempt.finish(if was_queued { &Outcome::NotSent } else { &Outcome::Overdue });
        Overrun { attempt, was_queued }
    }
}

impl<C: Connection, B: SendBody> Carrier<C, B> {
    #[inline(always)]
    pub(crate) fn new(deadlines: &Arc<Deadlines>, deadline: Option<Instant>, flight: Flight<C, B>) -> Self {
        match deadline {
            None => Self::Unlimited(Some(flight)),
            Some(deadline) => Self::Timed(Timed::new(deadlines, deadline, flight, Flight::overrun)),
        }
    }

    /// Polls for the next step before the response's body; an error once the deadline has passed.
    #[inline(always)]
    pub(crate) fn poll_landed(&mut self, cx: &mut Context<'_>) -> Poll<Result<Landed<C, B>, Late<C>>> {
        match self {
            Self::Unlimited(Some(flight)) => flight.poll_landed(cx).map(Ok),
            Self::Unlimited(None) => Poll::Pending,
            Self::Timed(timed) => timed.poll(cx, Flight::poll_landed),
        }
    }

    /// Takes the attempt, to finish it or to send it.
    #[inline(always)]
    pub(crate) fn take_attempt(&mut self) -> Result<Option<Attempt<C>>, Late<C>> {
        let flight = match self {
            Self::Unlimited(flight) => flight.take(),
            Self::Timed(timed) => timed.take()?,
        };
        Ok(flight.map(Flight::into_attempt))
    }

    /// Cancels the call because its attempt has taken too long, and removes it from all counts.
    pub(crate) fn give_up(&mut self) -> Result<Option<Overrun<C>>, Late<C>> {
        let flight = match self {
            Self::Unlimited(flight) => flight.take(),
            Self::Timed(timed) => timed.take()?,
        };
        Ok(flight.map(Flight::overrun))
    }

    /// Takes the deadline with what it ends, if there is one: the response's body follows.
    #[inline(always)]
    pub(crate) fn take_timed(&mut self) -> Option<TimedFlight<C, B>> {
        if let Self::Unlimited(_) = self {
            return None;
        }
        match std::mem::replace(self, Self::Unlimited(None)) {
            Self::Timed(timed) => Some(timed),
            Self::Unlimited(_) => None,
        }
    }

    pub(crate) fn put(&mut self, flight: Flight<C, B>) -> Result<(), Late<C>> {
        match self {
            Self::Unlimited(place) => {
                *place = Some(flight);
                Ok(())
            }
            Self::Timed(timed) => timed.put(flight),
        }
    }
}

impl<C: Connection, B: SendBody> fmt::Debug for Flight<C, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (stage, attempt) = match self {
            Self::Queued { attempt, .. } => ("Queued", attempt),
            Self::Sending { attempt, .. } => ("Sending", attempt),
            Self::Streaming { attempt, .. } => ("Streaming", attempt),
        };
        f.debug_tuple(stage).field(attempt).finish()
    }
}
