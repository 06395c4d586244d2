//! Polls a connection: its own task when the socket has data, and a caller that has just queued frames.
//!
//! h2 wakes the connection's task at each request, each piece of a body and each end of a stream. On a runtime with
//! several threads such a wake starts a second thread for a few microseconds of work. Therefore a caller that uses h2 does
//! so inside a [`Visit`], which collects h2's wakes and decides at its end:
//!
//! - The connection's only call polls the connection itself, if no one else does.
//! - With several calls the task is woken. On a runtime with several threads it lets the other callers of its thread queue their
//!   frames first, so that they leave in one write.
//! - The end of a complete call wakes nothing: there is nothing to write. The next visit finds the wake.
//!
//! The socket and the timers always know the waker of the connection's task, so no event is lost when a caller goes.

use std::cell::Cell;
use std::fmt;
use std::future::{Future, poll_fn};
use std::panic::{self, AssertUnwindSafe};
use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll, Wake, Waker, ready};

use futures_util::future::BoxFuture;
use tokio::runtime::{Handle, RuntimeFlavor};

use super::shared::Shared;

/// The part of a connection that its task and its callers poll.
pub(super) struct Polled {
    /// Moves frames; `None` before the task has started and after the connection has ended.
    driver: Mutex<Option<BoxFuture<'static, ()>>>,
    wakes: Arc<Wakes>,
    /// The waker of `wakes`: the driver is polled with it, by the task as by a caller.
    waker: Waker,
    /// The runtime of the task. The driver's timers belong to it, whichever runtime its caller is in.
    runtime: OnceLock<Handle>,
}

/// What has woken the connection.
#[derive(Debug, Default)]
struct Wakes {
    /// Set when the connection's task runs for the first time.
    task: OnceLock<Waker>,
    /// h2 has woken the connection in a visit, and the connection has not been polled since.
    is_pending: AtomicBool,
    /// A visit has woken the task, and the task has not run since.
    by_visit: AtomicBool,
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
    fn wake_task(&self) {
        if let Some(task) = self.task.get() {
            task.wake_by_ref();
        }
    }

    fn take_by_visit(&self) -> bool {
        self.by_visit.load(Ordering::Acquire) && self.by_visit.swap(false, Ordering::AcqRel)
    }

    fn take_pending(&self) -> bool {
        self.is_pending.load(Ordering::Acquire) && self.is_pending.swap(false, Ordering::AcqRel)
    }
}

thread_local! {
    /// The connection that a caller visits on this thread.
    static VISITED: Cell<*const Wakes> = const { Cell::new(ptr::null()) };
}

impl Polled {
    fn start(&self, runtime: Handle, driver: BoxFuture<'static, ()>) {
        self.runtime.get_or_init(|| runtime);
        *self.driver.lock().unwrap_or_else(PoisonError::into_inner) = Some(driver);
    }

    /// Polls the connection now, if no other thread does. Returns whether it did.
    fn try_poll(&self) -> bool {
        let Ok(driver) = self.driver.try_lock() else { return false };
        let _entered = self.runtime.get().map(Handle::enter);
        // A panic is the connection's, not its caller's: the task finds the lock poisoned.
        let polled = panic::catch_unwind(AssertUnwindSafe(|| self.poll(driver)));
        if !matches!(polled, Ok(Poll::Pending)) {
            self.wakes.wake_task();
        }
        true
    }

    fn poll(&self, mut driver: MutexGuard<'_, Option<BoxFuture<'static, ()>>>) -> Poll<()> {
        let Some(future) = driver.as_mut() else { return Poll::Ready(()) };
        self.wakes.take_pending();
        ready!(future.as_mut().poll(&mut Context::from_waker(&self.waker)));
        let ended = driver.take();
        drop(driver);
        drop(ended);
        Poll::Ready(())
    }

    fn drop_driver(&self) {
        let driver = self.driver.lock().unwrap_or_else(PoisonError::into_inner).take();
        drop(driver);
    }
}

impl Polled {
    /// Wakes the task if a visit has left something to it.
    pub(super) fn wake_if_pending(&self) {
        if self.wakes.take_pending() {
            self.wakes.wake_task();
        }
    }
}

impl Default for Polled {
    fn default() -> Self {
        let wakes = Arc::new(Wakes::default());
        let waker = Waker::from(wakes.clone());
        Self { driver: Mutex::default(), wakes, waker, runtime: OnceLock::new() }
    }
}

impl fmt::Debug for Polled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Polled").field("wakes", &self.wakes).finish_non_exhaustive()
    }
}

/// The task of one connection of the current runtime, moved by `driver`. It ends with the connection; dropped before, it drops the connection.
pub(super) fn run(
    shared: Arc<Shared>,
    driver: impl Future<Output = ()> + Send + 'static,
) -> impl Future<Output = ()> + Send + 'static {
    let runtime = Handle::current();
    let batches = runtime.runtime_flavor() != RuntimeFlavor::CurrentThread;
    shared.polled.start(runtime, Box::pin(driver));
    let task = ConnectionTask { shared, batches };
    async move {
        while poll_fn(|cx| task.poll(cx)).await == Step::Yield {
            // Runs on when the thread has no other task to run.
            tokio::task::yield_now().await;
            task.shared.polled.wakes.by_visit.store(false, Ordering::Release);
        }
    }
}

struct ConnectionTask {
    shared: Arc<Shared>,
    /// A woken task runs before the other tasks of its thread. The runtime of one thread keeps their order.
    batches: bool,
}

#[derive(Debug, PartialEq, Eq)]
enum Step {
    /// Other callers may queue frames now.
    Yield,
    Ended,
}

impl ConnectionTask {
    fn poll(&self, cx: &Context<'_>) -> Poll<Step> {
        let polled = &self.shared.polled;
        polled.wakes.task.get_or_init(|| cx.waker().clone());
        if self.batches && polled.wakes.take_by_visit() {
            return Poll::Ready(Step::Yield);
        }
        match polled.driver.lock() {
            Ok(driver) => polled.poll(driver).map(|()| Step::Ended),
            Err(_poisoned) => Poll::Ready(Step::Ended),
        }
    }
}

impl Drop for ConnectionTask {
    fn drop(&mut self) {
        self.shared.polled.drop_driver();
    }
}

/// A caller's use of h2.
pub(super) struct Visit<'a> {
    shared: &'a Shared,
    /// The connection that was visited before.
    outer: *const Wakes,
    end: End,
}

/// What the end of a visit does if h2 has woken the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// What is queued goes out now or soon.
    Write,
    /// Another visit follows, or there is nothing to write as long as the connection is open.
    Leave,
}

impl<'a> Visit<'a> {
    /// Its end wakes or polls the connection, if there is something to write.
    pub(super) fn new(shared: &'a Shared) -> Self {
        Self::with_end(shared, End::Write)
    }

    /// Another visit follows, or the drop of the call's place.
    pub(super) fn first(shared: &'a Shared) -> Self {
        Self::with_end(shared, End::Leave)
    }

    fn with_end(shared: &'a Shared, end: End) -> Self {
        let outer = VISITED.replace(Arc::as_ptr(&shared.polled.wakes));
        Self { shared, outer, end }
    }

    /// Drops a stream that both ends have ended. That writes nothing.
    pub(super) fn drop_ended<T>(mut self, stream: T) {
        if !self.shared.polled.wakes.is_pending.load(Ordering::Acquire) {
            self.end = End::Leave;
        }
        drop(stream);
    }
}

impl Drop for Visit<'_> {
    fn drop(&mut self) {
        VISITED.set(self.outer);
        let polled = &self.shared.polled;
        if self.outer == Arc::as_ptr(&polled.wakes) {
            return;
        }
        // A connection that takes no more calls ends with its last call.
        if self.end == End::Leave && self.shared.is_open() || !polled.wakes.take_pending() {
            return;
        }
        let is_alone = self.shared.places.holders() <= 1;
        if !(is_alone && polled.try_poll()) {
            polled.wakes.by_visit.store(true, Ordering::Release);
            polled.wakes.wake_task();
        }
    }
}
