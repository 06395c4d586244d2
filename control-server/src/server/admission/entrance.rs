//! Waits as the gate says.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rand::RngExt as _;
use tonic::Status;

use crate::clock::now;
use crate::metrics::{Metrics, Refused};
use crate::server::options::StreamLimits;

use super::gate::{Gate, Reason, Verdict};

/// The way in for the streams of one service. Clones are the same one.
#[derive(Debug, Clone)]
pub(in crate::server) struct Entrance {
    gate: Arc<Mutex<Gate>>,
    limits: StreamLimits,
    /// Streams that wait to be refused.
    refusals: Arc<tokio::sync::Semaphore>,
    metrics: Metrics,
}

/// The right to be served; given back when it is dropped.
#[derive(Debug)]
pub(super) struct Permit {
    gate: Arc<Mutex<Gate>>,
}

impl Entrance {
    pub(in crate::server) fn new(limits: StreamLimits, metrics: Metrics) -> Self {
        let refusals = Arc::new(tokio::sync::Semaphore::new(MAX_WAITING_REFUSALS));
        Self { gate: Arc::new(Mutex::new(Gate::new(limits))), limits, refusals, metrics }
    }

    /// Waits for the turn of a new stream.
    ///
    /// # Errors
    /// The limit that has been reached, after a while.
    pub(super) async fn enter(&self) -> Result<Permit, Status> {
        let verdict = lock(&self.gate).arrive(now());
        match verdict {
            Verdict::Enter => Ok(self.permit()),
            Verdict::Wait(wait) => {
                let permit = self.permit();
                self.metrics.stream_delayed();
                tokio::time::sleep(wait).await;
                Ok(permit)
            }
            Verdict::Refuse(reason) => {
                // A crowd that is too large even for waiting is refused at once.
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
