//! A call's deadline: fixed at its start, over all attempts, until the last byte of its response (RT-35).
//!
//! Before an attempt has an endpoint, a [`Timer`] in the call's own future is enough: the call is not in flight yet. From
//! then on [`Deadlines`] end it, even if it is not polled.

mod deadlines;
mod timed;

use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::task::coop;
use tokio::time::{Instant, Sleep, sleep_until};

pub(crate) use deadlines::Deadlines;
pub(crate) use timed::{Overdue, Timed};

/// Wakes at a deadline. The first poll makes the sleep, and only if there is a deadline.
#[derive(Debug, Default)]
pub(crate) struct Timer(Option<Pin<Box<Sleep>>>);

impl Timer {
    /// Ready when the deadline has passed. The deadline must be the same every time.
    pub(crate) fn poll_passed(&mut self, cx: &mut Context<'_>, deadline: Option<Instant>) -> Poll<()> {
        let Some(deadline) = deadline else { return Poll::Pending };
        self.0.get_or_insert_with(|| Box::pin(sleep_until(deadline))).as_mut().poll(cx)
    }
}

/// A timer of one task that runs much more often than the timer fires: as long as the task waits for the same deadline,
/// polling costs one load. Only that task may poll it.
#[derive(Debug)]
pub(crate) struct TaskTimer {
    sleep: Pin<Box<Sleep>>,
    /// The runtime will wake the task at the deadline.
    is_armed: bool,
}

impl TaskTimer {
    pub(crate) fn new(deadline: Instant) -> Self {
        Self { sleep: Box::pin(sleep_until(deadline)), is_armed: false }
    }

    pub(crate) fn deadline(&self) -> Instant {
        self.sleep.deadline()
    }

    pub(crate) fn reset(&mut self, deadline: Instant) {
        self.sleep.as_mut().reset(deadline);
        self.is_armed = false;
    }

    /// Ready from the deadline on.
    pub(crate) fn poll_passed(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.is_armed && !self.sleep.is_elapsed() {
            return Poll::Pending;
        }
        // A task without budget is woken at once, and the sleep has not seen its waker.
        let has_budget = coop::has_budget_remaining();
        let polled = self.sleep.as_mut().poll(cx);
        self.is_armed = has_budget && polled.is_pending();
        polled
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn task_timer_fires_at_its_deadline_however_often_it_is_polled() {
        let start = Instant::now();
        let mut timer = TaskTimer::new(start + Duration::from_secs(3));
        for seconds in [3, 7, 8] {
            let deadline = start + Duration::from_secs(seconds);
            timer.reset(deadline);
            for _ in 0..3 {
                let polled = poll_fn(|cx| Poll::Ready(timer.poll_passed(cx))).await;
                assert!(polled.is_pending(), "{seconds} s");
            }
            poll_fn(|cx| timer.poll_passed(cx)).await;
            assert_eq!(Instant::now().duration_since(start).as_secs(), seconds);
            assert_eq!(timer.deadline(), deadline);
        }
    }

    /// Without budget a sleep is not registered: the task must poll it again.
    #[tokio::test(start_paused = true)]
    async fn task_timer_fires_for_a_task_that_ran_out_of_budget() {
        let mut timer = TaskTimer::new(Instant::now() + Duration::from_secs(3));
        poll_fn(|cx| {
            while coop::has_budget_remaining() {
                let consumed = coop::poll_proceed(cx);
                let Poll::Ready(consumed) = consumed else { break };
                consumed.made_progress();
            }
            assert!(timer.poll_passed(cx).is_pending());
            assert!(!timer.is_armed);
            Poll::Ready(())
        })
        .await;
        poll_fn(|cx| timer.poll_passed(cx)).await;
    }
}
