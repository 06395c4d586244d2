//! Ends the streams of an old connection: first when they are idle, after a grace period at once.
//!
//! ```text
//! staying ──begin(grace)──> due: streams end once nothing is unanswered ──grace──> overdue: they end now
//! ```

use std::time::{Duration, Instant};

use tokio::sync::watch;
use tonic::Status;

/// Whether a connection's streams have to end. The default never ends them.
#[derive(Debug, Clone, Default)]
pub struct Departure {
    /// When the grace is over, once it has begun.
    overdue: Option<watch::Receiver<Option<Instant>>>,
}

/// Ends the streams of one connection.
#[derive(Debug)]
pub struct Departing {
    overdue: watch::Sender<Option<Instant>>,
}

impl Departing {
    /// Of a connection that stays until [`begin`](Self::begin).
    pub fn new() -> (Self, Departure) {
        let (sender, overdue) = watch::channel(None);
        (Self { overdue: sender }, Departure { overdue: Some(overdue) })
    }

    /// From now on streams are due; after `grace` they are overdue.
    pub fn begin(&self, now: Instant, grace: Duration) {
        self.overdue.send_replace(Some(now + grace));
    }
}

impl Departure {
    /// Whether streams should end once nothing is unanswered.
    pub fn is_due(&self) -> bool {
        self.overdue.as_ref().is_some_and(|overdue| overdue.borrow().is_some())
    }

    /// The status of a stream that ends because of this.
    pub fn final_status() -> Status {
        Status::unavailable("this connection has reached its maximum age; connect again")
    }

    /// Waits until they should.
    pub async fn due(&self) {
        let _ = self.begun().await;
    }

    /// Waits until they must end, even with unanswered responses.
    pub async fn overdue(&self) {
        let overdue = self.begun().await;
        tokio::time::sleep_until(overdue.into()).await;
    }

    async fn begun(&self) -> Instant {
        let Some(overdue) = &self.overdue else { return std::future::pending().await };
        let mut overdue = overdue.clone();
        let begun = overdue.wait_for(Option::is_some).await.ok().and_then(|begun| *begun);
        match begun {
            Some(overdue) => overdue,
            // The connection has closed, which ends its streams.
            None => std::future::pending().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::now;

    #[tokio::test(start_paused = true)]
    async fn departure_is_due_then_overdue() {
        let (departing, departure) = Departing::new();
        assert!(!departure.is_due());
        let hour = Duration::from_secs(3600);
        tokio::time::timeout(hour, departure.due()).await.unwrap_err();
        let begun = now();
        departing.begin(begun, Duration::from_secs(10));
        departure.due().await;
        assert!(departure.is_due());
        assert_eq!(now(), begun);
        departure.overdue().await;
        assert!(now() - begun >= Duration::from_secs(10));
    }

    #[tokio::test(start_paused = true)]
    async fn stream_ends_only_with_a_reason() {
        let departure = Departure::default();
        let hour = Duration::from_secs(3600);
        tokio::time::timeout(hour, departure.overdue()).await.unwrap_err();
        let (departing, departure) = Departing::new();
        drop(departing);
        tokio::time::timeout(hour, departure.due()).await.unwrap_err();
    }
}
