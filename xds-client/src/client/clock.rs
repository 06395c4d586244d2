//! The clock of the drivers.

use std::time::Instant;

use tokio::time;

/// tokio's clock, which tests can pause.
pub(crate) fn now() -> Instant {
    time::Instant::now().into_std()
}

/// Sleeps until the deadline; `None`: for ever.
pub(crate) async fn sleep_until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => time::sleep_until(time::Instant::from_std(deadline)).await,
        None => std::future::pending().await,
    }
}
