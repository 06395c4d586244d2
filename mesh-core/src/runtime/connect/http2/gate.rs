//! Admits holders up to a limit, in the order in which they came.
//!
//! While no caller waits, entering and leaving are one atomic operation each. A caller that comes while others wait goes
//! to the end of the queue. A waiting caller that is dropped leaves the queue.

use std::collections::VecDeque;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

/// Admits holders up to a limit.
pub(super) struct Gate {
    /// The limit in the lower half; above it the number of holders, whether callers wait, and whether the gate is closed.
    state: AtomicU64,
    queue: Mutex<Queue>,
}

/// Why a caller was not admitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// The limit is reached, or others wait.
    Full,
    /// The gate is closed for good.
    Closed,
}

#[derive(Debug, Default)]
struct Queue {
    next: u64,
    /// The waiting callers, in the order of their numbers.
    waiting: VecDeque<Waiter>,
    /// Callers that were admitted and have not been polled since.
    admitted: Vec<u64>,
}

#[derive(Debug)]
struct Waiter {
    number: u64,
    waker: Waker,
}

impl Gate {
    pub(super) fn new(limit: u32) -> Self {
        Self { state: AtomicU64::new(u64::from(limit)), queue: Mutex::default() }
    }

    /// Enters if there is room and no caller waits for it.
    pub(super) fn try_enter(&self) -> Result<(), Refusal> {
        let mut state = self.state.load(Ordering::Acquire);
        loop {
            if state & CLOSED != 0 {
                return Err(Refusal::Closed);
            }
            if state & WAITING != 0 || !has_room(state) {
                return Err(Refusal::Full);
            }
            match self.state.compare_exchange_weak(state, state + ONE, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return Ok(()),
                Err(now) => state = now,
            }
        }
    }

    /// Waits for room. Resolves to `false` when the gate closes.
    pub(super) fn enter<T: AsRef<Self>>(gate: T) -> WaitForRoom<T> {
        WaitForRoom { gate, step: Step::New }
    }

    /// Releases the room of so many holders.
    pub(super) fn leave(&self, holders: u32) {
        if holders > 0 {
            let before = self.state.fetch_sub(u64::from(holders) * ONE, Ordering::AcqRel);
            if before & WAITING != 0 {
                self.admit();
            }
        }
    }

    /// Changes the limit. Holders above it stay.
    pub(super) fn set_limit(&self, limit: u32) {
        let change = |state: u64| Some(state & !LIMIT | u64::from(limit));
        let before = self.state.fetch_update(Ordering::AcqRel, Ordering::Acquire, change);
        if before.is_ok_and(|before| before & WAITING != 0) {
            self.admit();
        }
    }

    /// Closes the gate: it admits no more callers, and rejects those that wait.
    pub(super) fn close(&self) {
        let before = self.state.fetch_or(CLOSED, Ordering::AcqRel);
        if before & WAITING != 0 {
            let waiting = std::mem::take(&mut self.lock().waiting);
            waiting.into_iter().for_each(|waiter| waiter.waker.wake());
        }
    }

    pub(super) fn has_waiting(&self) -> bool {
        self.state.load(Ordering::Relaxed) & WAITING != 0
    }

    pub(super) fn is_closed(&self) -> bool {
        self.state.load(Ordering::Acquire) & CLOSED != 0
    }

    pub(super) fn limit(&self) -> u32 {
        (self.state.load(Ordering::Relaxed) & LIMIT) as u32
    }

    pub(super) fn holders(&self) -> u32 {
        holders(self.state.load(Ordering::Relaxed))
    }

    /// Puts a caller at the end of the queue.
    fn join(&self, waker: &Waker) -> (u64, Vec<Waker>) {
        let mut queue = self.lock();
        let number = queue.next;
        queue.next += 1;
        queue.waiting.push_back(Waiter { number, waker: waker.clone() });
        // A holder that leaves after this admits from the queue; room that was free before is seen here.
        self.state.fetch_or(WAITING, Ordering::AcqRel);
        let admitted = self.admit_waiting(&mut queue);
        (number, admitted)
    }

    fn admit(&self) {
        let admitted = self.admit_waiting(&mut self.lock());
        admitted.into_iter().for_each(Waker::wake);
    }

    /// Admits waiting callers while there is room.
    fn admit_waiting(&self, queue: &mut Queue) -> Vec<Waker> {
        let mut wakers = Vec::new();
        while let Some(waiter) = queue.waiting.pop_front() {
            let enter = |state: u64| (state & CLOSED == 0 && has_room(state)).then_some(state + ONE);
            if self.state.fetch_update(Ordering::AcqRel, Ordering::Acquire, enter).is_err() {
                queue.waiting.push_front(waiter);
                return wakers;
            }
            queue.admitted.push(waiter.number);
            wakers.push(waiter.waker);
        }
        self.state.fetch_and(!WAITING, Ordering::AcqRel);
        wakers
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        // The queue is consistent between any two operations.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn holders(state: u64) -> u32 {
    ((state & !(CLOSED | WAITING)) >> 32) as u32
}

fn has_room(state: u64) -> bool {
    holders(state) < (state & LIMIT) as u32
}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gate")
            .field("limit", &self.limit())
            .field("holders", &self.holders())
            .field("closed", &self.is_closed())
            .finish_non_exhaustive()
    }
}

/// Waits for room at a gate.
pub(super) struct WaitForRoom<T: AsRef<Gate>> {
    gate: T,
    step: Step,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    New,
    Queued(u64),
    Done,
}

impl<T: AsRef<Gate>> WaitForRoom<T> {
    fn poll_enter(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        let gate = self.gate.as_ref();
        if self.step == Step::New {
            let (number, admitted) = gate.join(cx.waker());
            self.step = Step::Queued(number);
            admitted.iter().filter(|waker| !waker.will_wake(cx.waker())).for_each(Waker::wake_by_ref);
        }
        let Step::Queued(number) = self.step else { return Poll::Pending };
        let mut queue = gate.lock();
        let is_admitted = queue.take_admitted(number);
        if is_admitted || gate.is_closed() {
            queue.remove(number);
            self.step = Step::Done;
            return Poll::Ready(is_admitted);
        }
        if let Some(waiter) = queue.find(number).and_then(|at| queue.waiting.get_mut(at)) {
            waiter.waker.clone_from(cx.waker());
        }
        Poll::Pending
    }
}

impl Queue {
    fn find(&self, number: u64) -> Option<usize> {
        self.waiting.binary_search_by_key(&number, |waiter| waiter.number).ok()
    }

    fn remove(&mut self, number: u64) {
        if let Some(at) = self.find(number) {
            self.waiting.remove(at);
        }
    }

    fn take_admitted(&mut self, number: u64) -> bool {
        let at = self.admitted.iter().position(|admitted| *admitted == number);
        at.map(|at| self.admitted.swap_remove(at)).is_some()
    }
}

impl<T: AsRef<Gate> + Unpin> Future for WaitForRoom<T> {
    type Output = bool;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<bool> {
        self.poll_enter(cx)
    }
}

impl<T: AsRef<Gate>> Drop for WaitForRoom<T> {
    fn drop(&mut self) {
        let Step::Queued(number) = self.step else { return };
        let gate = self.gate.as_ref();
        let mut queue = gate.lock();
        queue.remove(number);
        if queue.take_admitted(number) {
            drop(queue);
            // The room goes to the next caller.
            gate.leave(1);
        } else if queue.waiting.is_empty() {
            gate.state.fetch_and(!WAITING, Ordering::AcqRel);
        }
    }
}

const LIMIT: u64 = 0xffff_ffff;
const ONE: u64 = 1 << 32;
const CLOSED: u64 = 1 << 63;
const WAITING: u64 = 1 << 62;
