//! Does-not-exist timers of one server. All run equally long, so that the first started is the first due.

use std::collections::VecDeque;
use std::time::Instant;

use mesh_core::config::Name;

#[derive(Debug)]
pub(super) struct Timer {
    pub(super) deadline: Instant,
    pub(super) type_url: &'static str,
    pub(super) name: Name,
}

/// Started timers. A stopped timer stays until [`Timers::prune`] finds it at the front.
#[derive(Debug, Default)]
pub(super) struct Timers {
    queue: VecDeque<Timer>,
}

impl Timers {
    pub(super) fn start(&mut self, timer: Timer) {
        self.queue.push_back(timer);
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.queue.front().map(|timer| timer.deadline)
    }

    pub(super) fn pop_due(&mut self, now: Instant) -> Option<Timer> {
        match self.queue.front()?.deadline <= now {
            true => self.queue.pop_front(),
            false => None,
        }
    }

    /// Drops stopped timers from the front, so that they wake no driver.
    pub(super) fn prune(&mut self, running: impl Fn(&Timer) -> bool) {
        while self.queue.front().is_some_and(|timer| !running(timer)) {
            self.queue.pop_front();
        }
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.queue.len()
    }

    pub(super) fn clear(&mut self) {
        self.queue.clear();
    }
}
