//! How fast one connection opens streams.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::gate::{Admission, Gate, Reason};

/// The pace of one connection, which a client with one stream of each service never notices. Clones share their state.
#[derive(Debug, Clone)]
pub(in crate::server) struct ConnectionPace(Arc<Mutex<Gate>>);

impl ConnectionPace {
    pub(in crate::server) fn new() -> Self {
        Self(Arc::new(Mutex::new(Gate::of_rate(CONNECTION_STREAMS, BURST))))
    }

    pub(super) fn arrive(&self, now: Instant) -> Admission {
        match self.0.lock().unwrap_or_else(PoisonError::into_inner).arrive(now) {
            Admission::Refuse(_) => Admission::Refuse(Reason::ConnectionTooFast),
            verdict => verdict,
        }
    }
}

/// Streams per second.
pub(super) const CONNECTION_STREAMS: u32 = 50;
/// The first hundred come at once.
const BURST: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connection_opens_a_hundred_streams_at_once_and_then_fifty_a_second() {
        let (pace, begin) = (ConnectionPace::new(), Instant::now());
        let verdicts: Vec<_> = (0..800).map(|_| pace.arrive(begin)).collect();
        let count = |wanted: fn(&Admission) -> bool| verdicts.iter().filter(|one| wanted(one)).count();
        assert_eq!(count(|one| *one == Admission::Enter), 100);
        assert!((249..=250).contains(&count(|one| matches!(one, Admission::Wait(_)))), "for up to 5 s");
        assert_eq!(verdicts.last(), Some(&Admission::Refuse(Reason::ConnectionTooFast)));
    }
}
