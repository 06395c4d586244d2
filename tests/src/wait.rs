//! Waiting for a condition: polled, bounded, and silent until it fails.

use std::time::{Duration, Instant};

/// How long anything may take that takes well under a second on an idle machine.
pub const PATIENCE: Duration = Duration::from_secs(30);

const INTERVAL: Duration = Duration::from_millis(20);

/// Polls `probe` until it gives a value, and returns that.
///
/// # Panics
/// After [`PATIENCE`], with what was awaited and what the probe said last.
pub async fn eventually<T>(what: &str, probe: impl AsyncFnMut() -> Result<T, String>) -> T {
    within(PATIENCE, what, probe).await.0
}

/// The same with a bound that is to be kept, and how long it took.
///
/// # Panics
/// After `bound`.
pub async fn within<T>(
    bound: Duration,
    what: &str,
    mut probe: impl AsyncFnMut() -> Result<T, String>,
) -> (T, Duration) {
    let began = Instant::now();
    loop {
        match probe().await {
            Ok(value) => return (value, began.elapsed()),
            Err(said) if began.elapsed() >= bound => {
                panic!("not within {bound:?}: {what}; last: {said}");
            }
            Err(_) => tokio::time::sleep(INTERVAL).await,
        }
    }
}
