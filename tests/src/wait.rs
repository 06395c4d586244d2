//! Waiting for a condition: polled, bounded, and silent until it fails.

use std::time::{Duration, Instant};

/// How long anything may take that takes well under a second on an idle machine.
pub const PATIENCE: Duration = Duration::from_secs(30);

const INTERVAL: Duration = Duration::from_millis(20);

/// Polls `probe` until it gives a value, and returns that.
///
/// # Panics
/// After [`PATIENCE`], with what was awaited and what the probe said last.
pub async fn eventually<T>(what: &str, mut probe: impl AsyncFnMut() -> Result<T, String>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match probe().await {
            Ok(value) => return value,
            Err(said) if Instant::now() >= deadline => {
                panic!("not within {PATIENCE:?}: {what}; last: {said}");
            }
            Err(_) => tokio::time::sleep(INTERVAL).await,
        }
    }
}
