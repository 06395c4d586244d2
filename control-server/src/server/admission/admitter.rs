//! Makes new streams wait as the gate decides.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rand::RngExt as _;
use tonic::Status;

use crate::clock::now;
use crate::metrics::{Metrics, Refused};
use crate::server::options::StreamLimits;

use super::gate::{Admission, Gate, Reason};

/// Admits the streams of one service. Clones share their state.
#[derive(Debug, Clone)]
pub(in crate::server) struct Admitter {
    gate: Arc<Mutex<Gate>>,
    limits: StreamLimits,
    /// Streams that wait to be refused.
    refusals: Arc<tokio::sync::Semaphore>,
    metrics: Metrics,
}

/// The permit of a stream; given back when it is dropped.
#[derive(Debug)]
pub(super) struct Permit {
    gate: Arc<Mutex<Gate>>,
}

impl Admitter {
    pub(in crate::server) fn new(limits: StreamLimits, metrics: Metrics) -> Self {
        let refusals = Arc::new(tokio::sync::Semaphore::new(MAX_WAITING_REFUSALS));
        Self { gate: Arc::new(Mutex::new(Gate::new(limits))), limits, refusals, metrics }
    }

    /// Waits until a new stream is admitted.
    ///
    /// # Errors
    /// The limit that has been reached, after a while.
    pub(super) async fn enter(&self) -> Result<Permit, Status> {
        let verdict = lock(&self.gate).arrive(now());
        match verdict {
            Admission::Enter => Ok(self.permit()),
            Admission::Wait(wait) => {
                let permit = self.permit();
                self.metrics.stream_delayed();
                tokio::time::sleep(wait).await;
                Ok(permit)
            }
            Admission::Refuse(reason) => {
                // If too many streams wait already, the stream is refused at once.
                if let Ok(_waiting) = self.refusals.try_acquire() {
                    let share: f64 = rand::rng().random();
                    tokio::time::sleep(REFUSAL_SPREAD.mul_f64(share)).await;
                }
                Err(self.refusal(reason))
            }
        }
    }

    fn permit(&self) -> Permit {
        Permit { gate: self.gate.clone() }
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
        lock(&self.gate).leave();
    }
}

fn lock(gate: &Mutex<Gate>) -> MutexGuard<'_, Gate> {
    gate.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Clients that are refused come back over this time, besides their own backoff.
const REFUSAL_SPREAD: Duration = Duration::from_secs(1);
const MAX_WAITING_REFUSALS: usize = 1000;
