//! From the clock that the protocol goes by to the one on the wall.

use std::time::{Instant, SystemTime};

use xds_proto::google::protobuf::Timestamp;

/// One moment on both clocks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clock {
    instant: Instant,
    wall: SystemTime,
}

impl Clock {
    pub(super) fn new(instant: Instant, wall: SystemTime) -> Self {
        Self { instant, wall }
    }

    /// By tokio's clock, as the client's worker.
    pub(super) fn now() -> Self {
        Self::new(tokio::time::Instant::now().into_std(), SystemTime::now())
    }

    /// The time on the wall clock. Exact unless the wall clock was set since.
    pub(super) fn timestamp(&self, at: Instant) -> Timestamp {
        let Self { instant, wall } = *self;
        let wall = match instant.checked_duration_since(at) {
            Some(ago) => wall.checked_sub(ago),
            None => wall.checked_add(at.duration_since(instant)),
        };
        let wall = wall.and_then(|wall| jiff::Timestamp::try_from(wall).ok()).unwrap_or_default();
        // A wall clock may stand before 1970, where no resource was ever updated.
        let wall = wall.max(jiff::Timestamp::UNIX_EPOCH);
        Timestamp { seconds: wall.as_second(), nanos: wall.subsec_nanosecond() }
    }
}

/// As protobuf's JSON has it: RFC 3339, in UTC, with microseconds.
pub(super) fn to_text(timestamp: &Timestamp) -> String {
    let time = jiff::Timestamp::new(timestamp.seconds, timestamp.nanos).unwrap_or(jiff::Timestamp::MAX);
    format!("{time:.6}")
}
