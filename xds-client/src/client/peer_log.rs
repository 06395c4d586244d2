//! Logs the connection to one control server: connected, lost, connected again.

use std::time::{Duration, Instant};

use crate::protocol::{AdsState, Outage, ServerId};

/// Logs when the server is connected and when it is lost, with few lines over a long outage: at most one warning in ten
/// seconds, and "connected again" only after a loss that was logged.
#[derive(Debug)]
pub(super) struct PeerLog {
    server: String,
    /// The server's number of losses when it was last read.
    failures: u64,
    told: Told,
    last_warning: Option<Instant>,
}

/// What was logged last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Told {
    Nothing,
    Connected,
    Lost,
}

impl PeerLog {
    pub(super) fn new(server: &str) -> Self {
        Self { server: server.to_owned(), failures: 0, told: Told::Nothing, last_warning: None }
    }

    /// Logs a loss if the server was lost since the last call. A stream that ends after a response is no loss.
    pub(super) fn on_failure(&mut self, now: Instant, ads: &AdsState, id: ServerId, what: &str) {
        let before = std::mem::replace(&mut self.failures, ads.failures(id));
        let Some(outage) = ads.server_outage(id).filter(|_| self.failures > before) else { return };
        let error = &*outage.reason;
        let state = if self.told == Told::Connected { LOST } else { OUT_OF_REACH };
        if self.warn(now) {
            tracing::warn!(server = self.server, %error, "{state}: {what}");
        } else {
            tracing::debug!(server = self.server, %error, "{state}: {what}");
        }
    }

    /// The server has sent a response; `outage` is the outage before it.
    pub(super) fn on_response(&mut self, now: Instant, outage: Option<&Outage>) {
        let before = self.connect();
        let server = &*self.server;
        match before {
            Told::Connected => {}
            Told::Nothing => tracing::info!(server, "connected to the control server"),
            Told::Lost => {
                let away =
                    outage.map_or(Duration::ZERO, |outage| now.saturating_duration_since(outage.since));
                tracing::info!(server, "connected to the control server again after {} s", away.as_secs());
            }
        }
    }

    /// Whether to warn of a loss now.
    fn warn(&mut self, now: Instant) -> bool {
        let is_due = self.last_warning.is_none_or(|last| now >= last + QUIET);
        if is_due {
            self.last_warning = Some(now);
            self.told = Told::Lost;
        }
        is_due
    }

    /// Marks the server as connected; returns what was logged before.
    fn connect(&mut self) -> Told {
        std::mem::replace(&mut self.told, Told::Connected)
    }
}

const LOST: &str = "lost the control server, what it has sent stays in use";
const OUT_OF_REACH: &str = "cannot reach the control server";
const QUIET: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    /// Scenario 31.
    #[test]
    fn there_is_one_warning_in_ten_seconds() {
        let (mut log, began) = (PeerLog::new("control:15010"), Instant::now());
        let due = [0, 1, 3, 9, 10, 11, 20, 300].map(|at| log.warn(began + Duration::from_secs(at)));
        assert_eq!(due, [true, false, false, false, true, false, true, true]);
    }

    #[test]
    fn flapping_server_is_logged_once_in_ten_seconds() {
        let (mut log, began) = (PeerLog::new("control:15010"), Instant::now());
        assert_eq!(log.connect(), Told::Nothing);
        let told = [0, 1, 2, 10, 11].map(|at| {
            log.warn(began + Duration::from_secs(at));
            log.connect()
        });
        assert_eq!(told, [Told::Lost, Told::Connected, Told::Connected, Told::Lost, Told::Connected]);
    }
}
