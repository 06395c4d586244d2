//! The time that drivers go by.

use std::time::Instant;

use tokio::time;

/// tokio's clock, which tests can stop.
pub(crate) fn now() -> Instant {
    time::Instant::now().into_std()
}

/// For ever, if there is no deadline.
pub(crate) async fn sleep_until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => time::sleep_until(time::Instant::from_std(deadline)).await,
        None => std::future::pending().await,
    }
}
