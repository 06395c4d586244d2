//! How often a client may report. Pure: time is an argument.

use std::time::{Duration, Instant};

use crate::bucket::Bucket;

use super::limits::{BURST, PER_INTERVAL};
use super::refusal::Refusal;

/// The requests that a client has left.
#[derive(Debug)]
pub(super) struct Budget {
    interval: Duration,
    bucket: Bucket,
}

impl Budget {
    /// Of a client that is told to report once per `interval`.
    pub(super) fn new(now: Instant, interval: Duration) -> Self {
        Self { interval, bucket: Bucket::new(now, BURST) }
    }

    /// Counts a request.
    pub(super) fn spend(&mut self, now: Instant) -> Result<(), Refusal> {
        let per_second = f64::from(PER_INTERVAL) / self.interval.as_secs_f64();
        match self.bucket.spend(now, 1, BURST, per_second) {
            true => Ok(()),
            false => Err(Refusal::Requests { interval: self.interval }),
        }
    }
}
