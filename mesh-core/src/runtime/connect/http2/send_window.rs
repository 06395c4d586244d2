//! How much of the endpoint's connection window long uploads take.
//!
//! All requests of a connection share one window. An endpoint that does not read an upload keeps what the upload has taken
//! of it, and a stream's window is often as large as the connection's: one such upload would leave nothing for the
//! bodies of other calls. Therefore long uploads wait while only a quarter of the window is left.
//!
//! The inputs are the endpoint's grants, the written bytes, and the bytes that uploads have handed to h2.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use super::frame::StreamMap;

/// The endpoint's connection window, and the long uploads that share it.
#[derive(Debug)]
pub(super) struct SendWindow(Mutex<WindowState>);

#[derive(Debug)]
struct WindowState {
    /// The granted bytes that are not written yet.
    available: i64,
    /// The most that has ever been available: the window's size.
    size: i64,
    /// The bytes that each upload has handed to h2 and that are not written yet.
    queued: StreamMap<usize>,
    waiting: StreamMap<Waker>,
}

impl SendWindow {
    /// Takes up to so many bytes for a long upload, at least one. Waits while only a quarter of the window is left.
    pub(super) fn poll_take(&self, cx: &Context<'_>, stream: u32, bytes: usize) -> Poll<usize> {
        let mut state = self.lock();
        let room = state.room();
        if room == 0 {
            state.waiting.insert(stream, cx.waker().clone());
            return Poll::Pending;
        }
        let taken = bytes.min(room);
        *state.queued.entry(stream).or_default() += taken;
        Poll::Ready(taken)
    }

    /// Counts bytes that an upload hands to h2 without waiting.
    pub(super) fn take(&self, stream: u32, bytes: usize) {
        *self.lock().queued.entry(stream).or_default() += bytes;
    }

    /// Gives back what was taken and not given to h2.
    pub(super) fn give_back(&self, stream: u32, bytes: usize) {
        if bytes > 0 {
            self.change(|state| state.dequeue(stream, bytes));
        }
    }

    /// DATA of this stream has been written.
    pub(super) fn on_sent(&self, stream: u32, bytes: usize) {
        self.change(|state| {
            state.available -= bytes as i64;
            state.dequeue(stream, bytes);
        });
    }

    /// The endpoint has granted more bytes.
    pub(super) fn on_grant(&self, bytes: u32) {
        self.change(|state| {
            state.available += i64::from(bytes);
            state.size = state.size.max(state.available);
        });
    }

    /// h2 writes nothing more of this stream.
    pub(super) fn forget(&self, stream: u32) {
        let mut forgotten = None;
        self.change(|state| {
            state.queued.remove(&stream);
            forgotten = state.waiting.remove(&stream);
        });
        if let Some(waker) = forgotten {
            waker.wake();
        }
    }

    /// Changes the state, and wakes the uploads that have room now.
    fn change(&self, change: impl FnOnce(&mut WindowState)) {
        let mut state = self.lock();
        change(&mut state);
        if state.waiting.is_empty() || state.room() == 0 {
            return;
        }
        let waiting = std::mem::take(&mut state.waiting);
        drop(state);
        waiting.into_values().for_each(Waker::wake);
    }

    fn lock(&self) -> MutexGuard<'_, WindowState> {
        // Nothing panics between two changes.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl WindowState {
    /// How much long uploads may take now.
    fn room(&self) -> usize {
        let queued = self.queued.values().sum::<usize>() as i64;
        usize::try_from(self.available - queued - self.size / 4).unwrap_or(0)
    }

    fn dequeue(&mut self, stream: u32, bytes: usize) {
        if let Some(queued) = self.queued.get_mut(&stream) {
            *queued = queued.saturating_sub(bytes);
            if *queued == 0 {
                self.queued.remove(&stream);
            }
        }
    }
}

impl Default for SendWindow {
    fn default() -> Self {
        let state = WindowState {
            available: INITIAL_WINDOW,
            size: INITIAL_WINDOW,
            queued: StreamMap::default(),
            waiting: StreamMap::default(),
        };
        Self(Mutex::new(state))
    }
}

/// RFC 9113 section 6.9.2: the connection's window before any WINDOW_UPDATE.
const INITIAL_WINDOW: i64 = 65_535;

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    use super::*;

    fn take(window: &SendWindow, stream: u32, bytes: usize) -> Option<usize> {
        match window.poll_take(&Context::from_waker(Waker::noop()), stream, bytes) {
            Poll::Ready(taken) => Some(taken),
            Poll::Pending => None,
        }
    }

    #[test]
    fn long_uploads_leave_a_quarter_of_the_window() {
        let window = SendWindow::default();
        window.on_grant(100_000 - 65_535);
        assert_eq!(take(&window, 1, 60_000), Some(60_000));
        assert_eq!(take(&window, 3, 60_000), Some(15_000));
        assert_eq!(take(&window, 5, 1), None);
        window.on_sent(1, 60_000);
        window.on_sent(3, 15_000);
        assert_eq!(take(&window, 5, 1), None, "what has been written still counts");
        // Other calls take what is left, and the endpoint reads them.
        window.on_sent(7, 25_000);
        window.on_grant(25_000);
        assert_eq!(take(&window, 5, 1), None);
        window.on_grant(10_000);
        assert_eq!(take(&window, 5, 60_000), Some(10_000));
    }

    #[test]
    fn what_is_never_written_is_free_again() {
        let window = SendWindow::default();
        let room = 65_535 - 65_535 / 4;
        assert_eq!(take(&window, 1, 100_000), Some(room));
        window.give_back(1, 1_000);
        assert_eq!(take(&window, 3, 100_000), Some(1_000));
        window.forget(1);
        assert_eq!(take(&window, 5, 100_000), Some(room - 1_000));
    }

    #[derive(Default)]
    struct Wakes(AtomicUsize);

    impl Wake for Wakes {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    #[test]
    fn waiting_uploads_are_woken_when_there_is_room_or_their_stream_ends() {
        let window = SendWindow::default();
        assert!(take(&window, 1, 100_000).is_some());
        let wakes = Arc::new(Wakes::default());
        let waker = Waker::from(wakes.clone());
        let woken = || wakes.0.load(Ordering::SeqCst);
        let poll = |stream| window.poll_take(&Context::from_waker(&waker), stream, 1);
        assert!(poll(3).is_pending() && poll(5).is_pending());
        window.on_sent(7, 10);
        assert_eq!(woken(), 0);
        window.forget(3);
        assert_eq!(woken(), 1);
        window.on_grant(100);
        assert_eq!(woken(), 2);
        assert!(poll(5).is_ready());
    }
}
