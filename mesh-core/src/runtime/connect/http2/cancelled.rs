//! The streams of cancelled calls, shared by calls and the connection's task.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Waker};

use h2::client::ResponseFuture;
use tokio::time::Instant;

use super::resets::Resets;

/// The streams of cancelled calls that are still open.
#[derive(Debug)]
pub(super) struct Cancelled {
    /// The endpoint has accepted all streams up to this one.
    accepted: AtomicU32,
    is_holding: AtomicBool,
    resets: Mutex<Resets<ResponseFuture>>,
    /// Wakes the connection's task; set when it runs for the first time.
    task: OnceLock<Waker>,
}

impl Cancelled {
    pub(super) fn new(max_unaccepted_resets: u32) -> Self {
        Self {
            accepted: AtomicU32::new(0),
            is_holding: AtomicBool::new(false),
            resets: Mutex::new(Resets::new(max_unaccepted_resets)),
            task: OnceLock::new(),
        }
    }

    /// Resets the stream of a cancelled call, now or soon.
    pub(super) fn cancel(&self, response: ResponseFuture) {
        let stream = response.stream_id().as_u32();
        let accepted = self.accepted.load(Ordering::Relaxed);
        if stream <= accepted {
            return;
        }
        let mut reset = Vec::new();
        let mut resets = self.lock();
        let was_holding = resets.is_holding();
        resets.on_cancel(Instant::now().into_std(), stream, response, accepted, &mut reset);
        let is_holding = resets.is_holding();
        self.is_holding.store(is_holding, Ordering::Relaxed);
        drop(resets);
        // h2 resets a stream when its handle is dropped, and takes a lock for that.
        drop(reset);
        if is_holding && !was_holding {
            // The connection's task sets its timer.
            self.task.get().into_iter().for_each(Waker::wake_by_ref);
        }
    }

    /// A part of a response to this stream has arrived. Called by the connection's task only.
    pub(super) fn accept(&self, stream: u32) {
        if stream > self.accepted.load(Ordering::Relaxed) {
            self.accepted.store(stream, Ordering::Relaxed);
        }
    }

    /// Resets the streams that need not be held any longer. Returns when to call it again at the latest.
    pub(super) fn poll_release(&self, cx: &Context<'_>) -> Option<Instant> {
        self.task.get_or_init(|| cx.waker().clone());
        if !self.is_holding.load(Ordering::Relaxed) {
            return None;
        }
        let mut reset = Vec::new();
        let mut resets = self.lock();
        resets.release(Instant::now().into_std(), self.accepted.load(Ordering::Relaxed), &mut reset);
        self.is_holding.store(resets.is_holding(), Ordering::Relaxed);
        let deadline = resets.next_deadline();
        drop(resets);
        drop(reset);
        deadline.map(Instant::from_std)
    }

    /// The connection has ended.
    pub(super) fn end(&self) {
        let held = self.lock().end();
        self.is_holding.store(false, Ordering::Relaxed);
        drop(held);
    }

    fn lock(&self) -> MutexGuard<'_, Resets<ResponseFuture>> {
        // Nothing panics between two changes.
        self.resets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
