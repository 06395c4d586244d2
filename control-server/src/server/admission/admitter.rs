//! Makes new streams wait as the gate decides.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rand::RngExt as _;
use tonic::Status;

use crate::clock::now;
use crate::metrics::{Metrics, Refused};
use crate::server::connections::{Machine, share};
use crate::server::options::StreamLimits;

use super::gate::{Admission, Reason};
use super::lanes::Lanes;
use super::pace::{CONNECTION_STREAMS, ConnectionPace};

/// Admits the streams of one service. Clones share their state.
#[derive(Debug, Clone)]
pub(in crate::server) struct Admitter {
    lanes: Arc<Mutex<Lanes>>,
    limits: StreamLimits,
    /// Streams that wait to be refused.
    refusals: Arc<tokio::sync::Semaphore>,
    metrics: Metrics,
}

/// The permit of a stream; given back when it is dropped.
#[derive(Debug)]
pub(super) struct Permit {
    lanes: Arc<Mutex<Lanes>>,
    machine: Option<Machine>,
}

/// Where a new stream comes from.
#[derive(Debug, Clone, Default)]
pub(super) struct Origin {
    pub(super) machine: Option<Machine>,
    pub(super) pace: Option<ConnectionPace>,
}

impl Admitter {
    pub(in crate::server) fn new(limits: StreamLimits, metrics: Metrics) -> Self {
        let refusals = Arc::new(tokio::sync::Semaphore::new(MAX_WAITING_REFUSALS));
        Self { lanes: Arc::new(Mutex::new(Lanes::new(limits))), limits, refusals, metrics }
    }

    /// Waits until a new stream is admitted.
    ///
    /// # Errors
    /// The limit that has been reached, after a while.
    pub(super) async fn enter(&self, origin: Origin) -> Result<Permit, Status> {
        match origin.pace.as_ref().map_or(Admission::Enter, |pace| pace.arrive(now())) {
            Admission::Enter => {}
            Admission::Wait(wait) => tokio::time::sleep(wait).await,
            Admission::Refuse(reason) => return Err(self.refuse(reason).await),
        }
        let verdict = lock(&self.lanes).arrive(now(), origin.machine);
        match verdict {
            Admission::Enter => Ok(self.permit(origin.machine)),
            Admission::Wait(wait) => {
                let permit = self.permit(origin.machine);
                self.metrics.stream_delayed();
                tokio::time::sleep(wait).await;
                Ok(permit)
            }
            Admission::Refuse(reason) => Err(self.refuse(reason).await),
        }
    }

    async fn refuse(&self, reason: Reason) -> Status {
        // If too many streams wait already, the stream is refused at once.
        if let Ok(_waiting) = self.refusals.try_acquire() {
            let share: f64 = rand::rng().random();
            tokio::time::sleep(REFUSAL_SPREAD.mul_f64(share)).await;
        }
        self.refusal(reason)
    }

    fn permit(&self, machine: Option<Machine>) -> Permit {
        Permit { lanes: self.lanes.clone(), machine }
    }

    fn refusal(&self, reason: Reason) -> Status {
        let StreamLimits { max_streams, per_second } = self.limits;
        match reason {
            Reason::TooMany => {
                self.metrics.stream_refused(Refused::TooMany);
                Status::resource_exhausted(format!(
                    "this control server has {max_streams} streams already, the limit (--max-streams); try again later"
                ))
            }
            Reason::TooManyOfMachine => {
                self.metrics.stream_refused(Refused::TooMany);
                let most = share(max_streams);
                Status::resource_exhausted(format!(
                    "this control server has {most} streams of this address already, nine tenths of the limit \
                     (--max-streams); try again later"
                ))
            }
            Reason::ConnectionTooFast => {
                self.metrics.stream_refused(Refused::TooFast);
                Status::unavailable(format!(
                    "more than {CONNECTION_STREAMS} new streams a second on one connection; keep streams open"
                ))
            }
            Reason::TooFast => {
                self.metrics.stream_refused(Refused::TooFast);
                Status::unavailable(format!(
                    "this control server is asked for more than {per_second} new streams a second, the limit \
                     (--max-stream-rate); try again later"
                ))
            }
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        lock(&self.lanes).leave(self.machine);
    }
}

fn lock(lanes: &Mutex<Lanes>) -> MutexGuard<'_, Lanes> {
    lanes.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Clients that are refused come back over this time, besides their own backoff.
const REFUSAL_SPREAD: Duration = Duration::from_secs(1);
const MAX_WAITING_REFUSALS: usize = 1000;
