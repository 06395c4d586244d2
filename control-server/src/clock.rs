//! The clock of whatever waits: tokio's, so that it is virtual in tests.

use std::time::Instant;

/// Now. For tasks, which tell the time to those that never read a clock.
pub(crate) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}
