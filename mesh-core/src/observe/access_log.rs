//! An access log: a line for a call that has ended.

use std::sync::Mutex;
use std::time::Duration;

use tokio::time::Instant;

use crate::policy::grpc_code;
use crate::runtime::CallKind;

use super::{CallObserver, CallRecord, ServedRecord, ServerObserver};

/// Logs calls that have ended, of a mesh or of a server, by `tracing` at INFO with the target `mesh::access`: one event for each call,
/// whose fields tell what, where and how long.
///
/// Every call by default, and at most 1,000 a second; the next line says how many were left out.
#[derive(Debug)]
pub struct AccessLog {
    /// The share of calls, from 0 to 1.
    share: f64,
    logs_failures: bool,
    /// In a second.
    most: u32,
    second: Mutex<Second>,
}

/// The lines of the present second.
#[derive(Debug, Clone, Copy)]
struct Second {
    began: Instant,
    lines: u32,
    /// How many lines were left out since the last one.
    left_out: u64,
}

impl AccessLog {
    /// A log of all calls.
    pub fn new() -> Self {
        let second = Second { began: Instant::now(), lines: 0, left_out: 0 };
        Self { share: 1.0, logs_failures: false, most: MOST, second: Mutex::new(second) }
    }

    /// Logs this share of the calls, chosen at random: 0.01 is one of a hundred.
    #[must_use]
    pub fn sampled(self, share: f64) -> Self {
        Self { share, ..self }
    }

    /// Logs every call that fails, whatever the share is: those with another gRPC status than OK, or with an HTTP status from 400.
    #[must_use]
    pub fn with_all_failures(self) -> Self {
        Self { logs_failures: true, ..self }
    }

    /// Logs at most so many calls in a second.
    #[must_use]
    pub fn at_most(self, lines_per_second: u32) -> Self {
        Self { most: lines_per_second, ..self }
    }

    /// How many lines were left out before the one for a call that has ended now; `None`: it is not logged.
    fn admit(&self, now: Instant, is_failure: bool, random: f64) -> Option<u64> {
        if random >= self.share && !(is_failure && self.logs_failures) {
            return None;
        }
        // nothing that holds the lock panics
        let Ok(mut second) = self.second.lock() else { return None };
        if now.saturating_duration_since(second.began) >= Duration::from_secs(1) {
            (second.began, second.lines) = (now, 0);
        }
        if second.lines >= self.most {
            second.left_out += 1;
            return None;
        }
        second.lines += 1;
        Some(std::mem::take(&mut second.left_out))
    }
}

impl Default for AccessLog {
    fn default() -> Self {
        Self::new()
    }
}

impl CallObserver for AccessLog {
    fn call_ended(&self, call: &CallRecord<'_>) {
        let Some(left_out) = self.admit(Instant::now(), call.status != 0, rand::random()) else { return };
        tracing::info!(
            target: "mesh::access",
            side = "client",
            target = &**call.method.target,
            method = &**call.method.method,
            status = grpc_code::name(call.status),
            duration_us = micros(call.duration),
            attempts = call.counts.attempts,
            cluster = call.place.as_ref().map(|place| &*place.cluster),
            endpoint = call.place.as_ref().map(|place| tracing::field::display(place.endpoint)),
            left_out,
            "call"
        );
    }
}

impl ServerObserver for AccessLog {
    fn call_ended(&self, ended: &ServedRecord<'_>) {
        let ServedRecord { call, status, duration, sent, received } = ended;
        let (is_failure, name) = match call.kind {
            CallKind::Grpc => (*status != 0, grpc_code::name(*status).to_owned()),
            CallKind::Http => (*status >= 400, status.to_string()),
        };
        let Some(left_out) = self.admit(Instant::now(), is_failure, rand::random()) else { return };
        tracing::info!(
            target: "mesh::access",
            side = "server",
            // clients make it up: as a text it is escaped
            method = &**call.method,
            status = &*name,
            duration_us = micros(*duration),
            sent,
            received,
            client = %call.peer.remote,
            left_out,
            "call"
        );
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

/// In a second, by default.
const MOST: u32 = 1000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn share_of_calls_is_logged_and_failures_if_wanted() {
        let now = Instant::now();
        let log = AccessLog::new().sampled(0.25);
        assert_eq!(log.admit(now, false, 0.24), Some(0));
        assert_eq!(log.admit(now, true, 0.25), None);
        let log = log.with_all_failures();
        assert_eq!(log.admit(now, false, 0.25), None);
        assert_eq!(log.admit(now, true, 0.99), Some(0));
        assert_eq!(AccessLog::new().sampled(0.0).admit(now, false, 0.0), None);
    }

    #[test]
    fn lines_beyond_the_limit_are_left_out_and_counted() {
        let now = Instant::now();
        let log = AccessLog::new().at_most(2);
        let later = now + Duration::from_millis(1100);
        let admitted = [now, now, now, now, later].map(|at| log.admit(at, false, 0.5));
        assert_eq!(admitted, [Some(0), Some(0), None, None, Some(2)]);
        assert_eq!(log.admit(later, false, 0.5), Some(0));
        assert_eq!(log.admit(later, false, 0.5), None);
    }
}
