//! The task of a connection, and what wakes it.
//!
//! h2 wakes the connection's task at each request, each piece of a body and each end of a stream. On a runtime with
//! several threads, two woken tasks wake a second thread; with several endpoints those were the task of the connection
//! whose call has just ended, and the task of the one that gets the next call. Therefore a caller uses h2 inside a
//! [`Visit`], which collects h2's wakes and passes on those that lead to a write. The end of a complete call does not; the next
//! visit finds its wake.
//!
//! The socket and the timers wake the task at any time.

use std::cell::Cell;
use std::future::Future;
use std::pin::Pin;
use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, Wake, Waker};

use super::shared::Shared;

/// What wakes a connection's task.
#[derive(Debug, Default)]
pub(super) struct Wakes {
    /// Set when the task runs for the first time.
    task: OnceLock<Waker>,
    /// h2 has woken the connection in a visit, and the task has been neither woken nor polled since.
    is_pending: AtomicBool,
}

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if VISITED.get() == Arc::as_ptr(self) {
            self.is_pending.store(true, Ordering::Release);
        } else {
            self.wake_task();
        }
    }
}

impl Wakes {
    /// Wakes the task if a visit has left a wake.
    pub(super) fn wake_if_pending(&self) {
        if self.take_pending() {
            self.wake_task();
        }
    }

    fn wake_task(&self) {
        if let Some(task) = self.task.get() {
            task.wake_by_ref();
        }
    }

    fn take_pending(&self) -> bool {
        self.is_pending.load(Ordering::Acquire) && self.is_pending.swap(false, Ordering::AcqRel)
    }
}

thread_local! {
    /// The connection that a caller visits on this thread.
    static VISITED: Cell<*const Wakes> = const { Cell::new(ptr::null()) };
}

/// The task of one connection: polls its driver, and tells h2, the socket and the timers a waker that knows visits.
pub(super) struct ConnectionTask<D> {
    driver: D,
    wakes: Arc<Wakes>,
    waker: Waker,
}

impl<D> ConnectionTask<D> {
    pub(super) fn new(wakes: Arc<Wakes>, driver: D) -> Self {
        Self { driver, waker: Waker::from(wakes.clone()), wakes }
    }
}

impl<D: Future<Output = ()> + Unpin> Future for ConnectionTask<D> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let Self { driver, wakes, waker } = &mut *self;
        wakes.task.get_or_init(|| cx.waker().clone());
        wakes.take_pending();
        Pin::new(driver).poll(&mut Context::from_waker(waker))
    }
}

/// A caller's use of h2. Its end wakes the connection's task, if h2 has woken the connection.
pub(super) struct Visit<'a> {
    shared: &'a Shared,
    /// The connection that was visited before.
    outer: *const Wakes,
    end: End,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// There is something to write.
    Wake,
    /// A wake is left to the next visit, unless the connection takes no more calls: then it ends with its last call.
    Leave,
}

impl<'a> Visit<'a> {
    pub(super) fn new(shared: &'a Shared) -> Self {
        Self::with_end(shared, End::Wake)
    }

    /// Before another visit, or before the drop of the call's place, which wakes the task.
    pub(super) fn first(shared: &'a Shared) -> Self {
        Self::with_end(shared, End::Leave)
    }

    fn with_end(shared: &'a Shared, end: End) -> Self {
        let outer = VISITED.replace(Arc::as_ptr(&shared.wakes));
        Self { shared, outer, end }
    }

    /// Drops a stream that both ends have ended. That writes nothing.
    pub(super) fn drop_ended<T>(mut self, stream: T) {
        if !self.shared.wakes.is_pending.load(Ordering::Acquire) {
            self.end = End::Leave;
        }
        drop(stream);
    }
}

impl Drop for Visit<'_> {
    fn drop(&mut self) {
        VISITED.set(self.outer);
        let wakes = &self.shared.wakes;
        let is_inner = self.outer == Arc::as_ptr(wakes);
        let is_left = self.end == End::Leave && self.shared.is_open();
        if !is_inner && !is_left {
            wakes.wake_if_pending();
        }
    }
}
