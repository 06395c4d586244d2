//! What a connection of the admin port is doing, and since when it has made no progress.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::server::connections::Place;

/// The activity of one connection, over all its requests.
#[derive(Debug)]
pub(super) struct Activity {
    place: Place,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// Requests whose answer has not been written yet.
    under_way: usize,
    /// Parts of answers that the client has not read yet.
    unread: usize,
    /// The last time that something happened.
    last: Instant,
    /// There has been a request.
    was_used: bool,
}

impl Activity {
    pub(super) fn new(place: Place) -> Self {
        let state = State { under_way: 0, unread: 0, last: Instant::now(), was_used: false };
        Self { place, state: Mutex::new(state) }
    }

    pub(super) fn place(&self) -> &Place {
        &self.place
    }

    /// A request has come.
    pub(super) fn begin(&self) {
        let mut state = self.lock();
        (state.under_way, state.was_used) = (state.under_way + 1, true);
        state.last = Instant::now();
        self.place.set_busy();
    }

    /// The request's answer is complete, or given up.
    pub(super) fn end(&self) {
        let mut state = self.lock();
        state.under_way -= 1;
        state.last = Instant::now();
        if state.under_way == 0 {
            self.place.set_idle();
        }
    }

    /// A part of an answer is on its way.
    pub(super) fn part_sent(&self) {
        self.lock().unread += 1;
    }

    /// There was room for more after that part.
    pub(super) fn part_read(&self) {
        let mut state = self.lock();
        state.unread -= 1;
        state.last = Instant::now();
    }

    /// Waits until nothing has happened for too long.
    pub(super) async fn overdue(&self) {
        while let Some(wait) = self.wait() {
            tokio::time::sleep(wait).await;
        }
    }

    /// How long the connection may stay as it is at least; `None`: it has to end.
    fn wait(&self) -> Option<Duration> {
        let state = self.lock();
        let patience = match *state {
            State { unread: 1.., .. } => UNREAD,
            // The answer's own deadline ends it, and a stream may last.
            State { under_way: 1.., .. } => return Some(UNREAD),
            State { was_used: false, .. } => UNUSED,
            _ => IDLE,
        };
        let left = patience.saturating_sub(state.last.elapsed());
        (!left.is_zero()).then_some(left)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A client that reads nothing for as long is gone.
const UNREAD: Duration = Duration::from_secs(30);
/// Until the first request.
const UNUSED: Duration = Duration::from_secs(10);
/// Between two requests.
const IDLE: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;
    use crate::server::connections::{Connections, Limits};

    fn activity() -> Activity {
        let connections = Connections::new(Limits { most: 1, most_of_client: 1 });
        Activity::new(connections.enter(Ipv4Addr::LOCALHOST.into()).unwrap())
    }

    /// Seconds until the connection has to end, within an hour.
    async fn seconds(activity: &Activity) -> Option<u64> {
        let began = Instant::now();
        let ended = tokio::time::timeout(Duration::from_secs(3600), activity.overdue()).await;
        ended.is_ok().then(|| began.elapsed().as_secs())
    }

    #[tokio::test(start_paused = true)]
    async fn connection_without_request_ends_soon_and_used_one_later() {
        let activity = activity();
        assert_eq!(seconds(&activity).await, Some(10));
        activity.begin();
        assert_eq!(seconds(&activity).await, None, "a stream may last");
        activity.end();
        assert_eq!(seconds(&activity).await, Some(60));
    }

    #[tokio::test(start_paused = true)]
    async fn answer_that_is_not_read_ends_the_connection() {
        let activity = activity();
        activity.begin();
        activity.part_sent();
        tokio::time::sleep(Duration::from_secs(20)).await;
        activity.part_read();
        activity.part_sent();
        assert_eq!(seconds(&activity).await, Some(30));
    }
}
