//! Waiting for a condition: polled, bounded, and silent until it fails.

use std::time::{Duration, Instant};

use crate::scenario::is_full;

/// How long anything may take that takes well under a second on an idle machine.
pub const PATIENCE: Duration = Duration::from_secs(60);

const INTERVAL: Duration = Duration::from_millis(20);

/// Polls `probe` until it gives a value, and returns that.
///
/// # Panics
/// After [`PATIENCE`], with what was awaited and what the probe said last.
pub async fn eventually<T>(what: &str, probe: impl AsyncFnMut() -> Result<T, String>) -> T {
    poll(PATIENCE, what, probe).await.0
}

/// The same with a bound that is to be kept, and how long it took. The bound is that of an otherwise idle machine, kept in full
/// size; in every test run, beside other tests and builds, only what takes [`PATIENCE`] fails.
///
/// # Panics
/// After `bound` in full size, after the longer of `bound` and [`PATIENCE`] otherwise.
pub async fn within<T>(
    bound: Duration,
    what: &str,
    probe: impl AsyncFnMut() -> Result<T, String>,
) -> (T, Duration) {
    poll(if is_full() { bound } else { bound.max(PATIENCE) }, what, probe).await
}

async fn poll<T>(
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
