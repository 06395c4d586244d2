//! The clock of tasks: tokio's, so that it is virtual in tests.

use std::time::Instant;

/// The current time. For tasks, which pass it to state machines.
pub(crate) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}
