//! When a connection takes no more calls by its cluster's settings: after a number of calls, or without calls for the idle
//! timeout (CDS-17).

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::Instant;

use crate::runtime::timeout::TaskTimer;

/// How many more calls a connection may carry.
#[derive(Debug)]
pub(super) struct CallBudget(Option<AtomicU32>);

impl CallBudget {
    /// `None`: any number.
    pub(super) fn new(limit: Option<NonZeroU32>) -> Self {
        Self(limit.map(|limit| AtomicU32::new(limit.get())))
    }

    /// Counts one call. `false`: the limit is reached.
    pub(super) fn take(&self) -> bool {
        let Some(left) = &self.0 else { return true };
        left.fetch_update(Ordering::AcqRel, Ordering::Acquire, |left| left.checked_sub(1)).is_ok()
    }

    /// Whether the limit is reached.
    pub(super) fn is_used_up(&self) -> bool {
        self.0.as_ref().is_some_and(|left| left.load(Ordering::Acquire) == 0)
    }
}

/// The idle timeout of a connection. The connection's task polls it whenever it runs, and is woken at the end of the time.
#[derive(Debug)]
pub(super) struct IdleTime {
    limit: Duration,
    /// When the last call ended; `None` while there are calls.
    since: Option<Instant>,
    timer: TaskTimer,
}

impl IdleTime {
    /// For a connection that has just been made.
    pub(super) fn new(limit: Duration) -> Self {
        let (limit, now) = (limit.clamp(SHORTEST, FOREVER), Instant::now());
        Self { limit, since: Some(now), timer: TaskTimer::new(now + limit) }
    }

    /// Ready after a whole timeout without calls. `calls` is the number of calls now.
    pub(super) fn poll_over(&mut self, cx: &mut Context<'_>, calls: u32) -> Poll<()> {
        if calls > 0 {
            self.since = None;
        } else if self.since.is_none() {
            self.since = Some(Instant::now());
        }
        while self.timer.poll_passed(cx).is_ready() {
            let now = Instant::now();
            let end = self.since.unwrap_or(now) + self.limit;
            if self.since.is_some() && end <= now {
                return Poll::Ready(());
            }
            self.timer.reset(end);
        }
        Poll::Pending
    }
}

/// Practically for ever; short enough to be added to any time.
const FOREVER: Duration = Duration::from_secs(100 * 365 * 24 * 3_600);

/// More than zero, so that the timer does not fire while there are calls.
const SHORTEST: Duration = Duration::from_millis(1);
