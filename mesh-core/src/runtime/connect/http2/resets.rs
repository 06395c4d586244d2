//! When the streams of cancelled calls are reset. Pure: the connection's task owns the timer.
//!
//! A server may end a connection on which too many streams are reset before it has accepted them: those on h2 do so
//! after 20. Therefore only a few streams are reset before the endpoint has shown that it has accepted them; the others
//! are held open until it shows that, or for a short time.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// When the streams of cancelled calls are reset. A stream is reset when its handle, a `T`, is dropped.
#[derive(Debug)]
pub(super) struct Resets<T> {
    /// How many streams may be reset before they are accepted.
    limit: usize,
    /// The endpoint has accepted all streams up to this one.
    accepted: u32,
    /// Streams that were reset before they were accepted, and until when they count; in the order of these times.
    unaccepted: VecDeque<(u32, Instant)>,
    /// The streams that are held open, in the order of their deadlines.
    held: VecDeque<Held<T>>,
    /// The connection has ended.
    ended: bool,
}

#[derive(Debug)]
struct Held<T> {
    stream: u32,
    handle: T,
    deadline: Instant,
}

impl<T> Resets<T> {
    pub(super) fn new(limit: u32) -> Self {
        let limit = limit as usize;
        Self { limit, accepted: 0, unaccepted: VecDeque::new(), held: VecDeque::new(), ended: false }
    }

    pub(super) fn is_holding(&self) -> bool {
        !self.held.is_empty()
    }

    /// The call of this stream is cancelled, and the endpoint has accepted all streams up to `accepted`. The caller drops the
    /// handles in `reset`.
    pub(super) fn on_cancel(
        &mut self,
        now: Instant,
        stream: u32,
        handle: T,
        accepted: u32,
        reset: &mut Vec<T>,
    ) {
        self.release(now, accepted, reset);
        if stream <= accepted || self.ended {
            reset.push(handle);
        } else if self.held.is_empty() && self.has_room(now) {
            self.reset(now, stream, handle, reset);
        } else {
            self.held.push_back(Held { stream, handle, deadline: now + MAX_HOLD });
            if self.held.len() > MAX_HELD {
                reset.extend(self.held.pop_front().map(|held| held.handle));
            }
        }
    }

    /// The endpoint has accepted all streams up to `accepted`, or a deadline has passed.
    pub(super) fn release(&mut self, now: Instant, accepted: u32, reset: &mut Vec<T>) {
        if accepted <= self.accepted && self.next_deadline().is_none_or(|deadline| deadline > now) {
            return;
        }
        self.accepted = accepted;
        for held in std::mem::take(&mut self.held) {
            if held.stream <= accepted {
                reset.push(held.handle);
            } else if held.deadline <= now || self.has_room(now) {
                self.reset(now, held.stream, held.handle, reset);
            } else {
                self.held.push_back(held);
            }
        }
    }

    fn reset(&mut self, now: Instant, stream: u32, handle: T, reset: &mut Vec<T>) {
        self.unaccepted.push_back((stream, now + MAX_HOLD));
        reset.push(handle);
    }

    /// Whether one more stream may be reset before it is accepted.
    fn has_room(&mut self, now: Instant) -> bool {
        if self.unaccepted.len() >= self.limit {
            self.unaccepted.retain(|(stream, until)| *stream > self.accepted && *until > now);
        }
        self.unaccepted.len() < self.limit
    }

    /// When to call [`release`](Self::release) at the latest.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        let held = self.held.front()?.deadline;
        Some(self.unaccepted.front().map_or(held, |(_, until)| held.min(*until)))
    }

    /// The connection has ended: nothing is held any more.
    pub(super) fn end(&mut self) -> Vec<T> {
        self.ended = true;
        std::mem::take(&mut self.held).into_iter().map(|held| held.handle).collect()
    }
}

/// How long a cancelled call's stream is held open at most, and how long one that was reset counts.
pub(super) const MAX_HOLD: Duration = Duration::from_millis(200);

/// How many streams are held open at most; then the oldest is reset.
const MAX_HELD: usize = 1_024;

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: u32 = 3;

    struct Run {
        resets: Resets<u32>,
        begun: Instant,
    }

    impl Run {
        fn new() -> Self {
            Self { resets: Resets::new(LIMIT), begun: Instant::now() }
        }

        /// Which streams are reset when this one's call is cancelled.
        fn cancel(&mut self, ms: u64, stream: u32, accepted: u32) -> Vec<u32> {
            let mut reset = Vec::new();
            let now = self.begun + Duration::from_millis(ms);
            self.resets.on_cancel(now, stream, stream, accepted, &mut reset);
            reset
        }

        fn release(&mut self, ms: u64, accepted: u32) -> Vec<u32> {
            let mut reset = Vec::new();
            self.resets.release(self.begun + Duration::from_millis(ms), accepted, &mut reset);
            reset
        }

        fn deadline(&self) -> Option<u128> {
            self.resets.next_deadline().map(|deadline| (deadline - self.begun).as_millis())
        }
    }

    #[test]
    fn accepted_streams_are_reset_at_once() {
        let mut run = Run::new();
        for stream in 1..100 {
            assert_eq!(run.cancel(0, stream, 100), [stream]);
        }
        assert_eq!(run.deadline(), None);
    }

    #[test]
    fn streams_beyond_the_limit_are_held_until_a_later_one_is_accepted() {
        let mut run = Run::new();
        for stream in [1, 3, 5] {
            assert_eq!(run.cancel(0, stream, 0), [stream]);
        }
        for stream in [7, 9, 11, 13] {
            assert!(run.cancel(10, stream, 0).is_empty());
        }
        assert_eq!(run.release(20, 9), [7, 9, 11, 13], "the first three count no more");
        assert_eq!(run.cancel(20, 15, 9), [15]);
        assert!(run.cancel(20, 17, 9).is_empty(), "11, 13 and 15 count");
    }

    #[test]
    fn stream_is_held_for_a_short_time_only() {
        let mut run = Run::new();
        for stream in [1, 3, 5, 7] {
            run.cancel(0, stream, 0);
        }
        assert!(run.cancel(10, 9, 0).is_empty());
        assert_eq!(run.deadline(), Some(200));
        assert!(run.release(199, 0).is_empty());
        assert_eq!(run.release(200, 0), [7, 9], "the first three count no more");
        assert_eq!(run.deadline(), None);
    }

    #[test]
    fn number_of_held_streams_is_bounded() {
        let mut run = Run::new();
        let streams = LIMIT + MAX_HELD as u32;
        let reset: Vec<u32> = (0..streams + 10).flat_map(|stream| run.cancel(0, stream + 1, 0)).collect();
        let expected: Vec<u32> = (1..=LIMIT + 10).collect();
        assert_eq!(reset, expected);
    }

    #[test]
    fn nothing_is_held_after_the_end() {
        let mut run = Run::new();
        for stream in [1, 3, 5, 7, 9] {
            run.cancel(0, stream, 0);
        }
        assert_eq!(run.resets.end(), [7, 9]);
        assert_eq!(run.cancel(0, 11, 0), [11]);
    }
}
