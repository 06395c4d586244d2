//! A value that expires at its deadline, even if it is not polled.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, Waker};

use tokio::time::Instant;

use super::Deadlines;
use super::deadlines::{Expire, Registration};

/// A value that expires at its deadline, even if it is not polled. Costs one allocation.
///
/// At the deadline `on_overdue` drops the value, and returns the data for the error's text.
pub(crate) struct Timed<F: Send + 'static, R: Send + 'static> {
    cell: Arc<Cell<F, R>>,
    deadline: Instant,
    _registration: Registration,
}

/// The deadline has passed. The first result has the data that `on_overdue` returned.
#[derive(Debug)]
pub(crate) struct Overdue<R>(pub(crate) Option<R>);

struct Cell<F, R> {
    state: Mutex<TimedState<F, R>>,
    on_overdue: fn(F) -> R,
}

struct TimedState<F, R> {
    /// `None` once it has been taken or has expired.
    value: Option<F>,
    expired: Option<Overdue<R>>,
    /// The waker of the last poll.
    waker: Option<Waker>,
}

impl<F: Send + 'static, R: Send + 'static> Timed<F, R> {
    pub(crate) fn new(
        deadlines: &Arc<Deadlines>,
        deadline: Instant,
        value: F,
        on_overdue: fn(F) -> R,
    ) -> Self {
        let state = TimedState { value: Some(value), expired: None, waker: None };
        let cell = Arc::new(Cell { state: Mutex::new(state), on_overdue });
        let weak: Weak<Cell<F, R>> = Arc::downgrade(&cell);
        let registration = deadlines.register(deadline, weak);
        Self { cell, deadline, _registration: registration }
    }

    /// Polls the value; an error once the deadline has passed.
    pub(crate) fn poll<T>(
        &self,
        cx: &mut Context<'_>,
        poll: impl FnOnce(&mut F, &mut Context<'_>) -> Poll<T>,
    ) -> Poll<Result<T, Overdue<R>>> {
        if self.deadline <= Instant::now() {
            self.cell.expire();
        }
        let mut state = self.cell.lock();
        if let Some(expired) = &mut state.expired {
            return Poll::Ready(Err(Overdue(expired.0.take())));
        }
        let Some(value) = &mut state.value else { return Poll::Pending };
        match poll(value, cx) {
            Poll::Ready(result) => Poll::Ready(Ok(result)),
            Poll::Pending => {
                if state.waker.as_ref().is_none_or(|waker| !waker.will_wake(cx.waker())) {
                    state.waker = Some(cx.waker().clone());
                }
                Poll::Pending
            }
        }
    }

    /// Takes the value; an error once the deadline has passed.
    pub(crate) fn take(&self) -> Result<Option<F>, Overdue<R>> {
        let mut state = self.cell.lock();
        match &mut state.expired {
            Some(expired) => Err(Overdue(expired.0.take())),
            None => Ok(state.value.take()),
        }
    }

    /// Replaces the value; an error once the deadline has passed.
    pub(crate) fn put(&self, value: F) -> Result<(), Overdue<R>> {
        let mut state = self.cell.lock();
        if state.expired.is_some() {
            drop(state);
            return Err(Overdue(Some((self.cell.on_overdue)(value))));
        }
        let before = state.value.replace(value);
        drop(state);
        drop(before);
        Ok(())
    }

    /// Calls `look` with the value, unless it was taken or has expired.
    pub(crate) fn with<T>(&self, look: impl FnOnce(&F) -> T) -> Option<T> {
        self.cell.lock().value.as_ref().map(look)
    }
}

impl<F, R> Cell<F, R> {
    fn lock(&self) -> MutexGuard<'_, TimedState<F, R>> {
        // A panic under the lock comes from the value's own code; the state itself is consistent.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<F: Send, R: Send> Expire for Cell<F, R> {
    fn expire(&self) {
        let mut state = self.lock();
        if state.expired.is_some() {
            return;
        }
        let (value, waker) = (state.value.take(), state.waker.take());
        state.expired = Some(Overdue(None));
        drop(state);
        // Dropped without the lock: dropping a call may wake other calls.
        let rest = value.map(self.on_overdue);
        self.lock().expired = Some(Overdue(rest));
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl<F: Send, R: Send> fmt::Debug for Timed<F, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Timed").field("deadline", &self.deadline).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::time::Duration;

    use tokio::runtime::Handle;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn unpolled_value_expires_at_its_deadline() {
        let deadlines = Arc::new(Deadlines::new(Handle::current()));
        let deadline = Instant::now() + Duration::from_secs(1);
        let held = Arc::new(());
        let timed = Timed::new(&deadlines, deadline, held.clone(), drop);
        assert_eq!(Arc::strong_count(&held), 2);
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert_eq!(Arc::strong_count(&held), 1);
        assert!(timed.take().is_err());
        assert!(timed.put(held.clone()).is_err());
        assert_eq!(Arc::strong_count(&held), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn last_poller_is_woken_at_deadline_and_gets_the_value() {
        let deadlines = Arc::new(Deadlines::new(Handle::current()));
        let deadline = Instant::now() + Duration::from_secs(1);
        let timed = Timed::new(&deadlines, deadline, 7, |value| value + 1);
        let begun = Instant::now();
        let Overdue(rest) =
            poll_fn(|cx| timed.poll(cx, |_, _| Poll::<()>::Pending)).await.expect_err("it never resolves");
        assert_eq!((rest, begun.elapsed()), (Some(8), Duration::from_secs(1)));
    }
}
