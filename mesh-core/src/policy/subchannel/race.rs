//! One pass over an endpoint's addresses: happy eyeballs (RFC 8305, gRFC A61).

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Settings;

/// Attempts that overlap: the next address is tried when the last attempt has failed or its delay has passed.
#[derive(Debug)]
pub(super) struct Race {
    order: Box<[SocketAddr]>,
    /// How many addresses of `order` have been tried.
    started: usize,
    running: usize,
    /// The next attempt is due; the driver has not started it.
    wanted: bool,
    /// When the next attempt becomes due, unless it is due already.
    next_at: Option<Instant>,
    /// Set by the first attempt.
    limits: Option<Limits>,
    last_error: Option<Arc<str>>,
}

#[derive(Debug)]
struct Limits {
    retry_at: Instant,
    attempt_timeout: Duration,
    /// When the running attempts are cancelled.
    give_up_at: Instant,
}

/// The pass is over without a connection.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) reason: Arc<str>,
    /// When the next pass may begin.
    pub(super) retry_at: Instant,
}

impl Race {
    /// A pass that starts at `begin`, or now.
    pub(super) fn new(addresses: &[SocketAddr], begin: Option<Instant>) -> Self {
        Self {
            order: interleaved(addresses).into(),
            started: 0,
            running: 0,
            wanted: begin.is_none(),
            next_at: begin,
            limits: None,
            last_error: None,
        }
    }

    pub(super) fn wants_attempt(&self) -> bool {
        self.wanted
    }

    /// Starts the next attempt. `backoff` draws the pause after this pass, once.
    pub(super) fn start_attempt(
        &mut self,
        now: Instant,
        settings: &Settings,
        backoff: impl FnOnce() -> Duration,
    ) -> Option<SocketAddr> {
        let address = *self.order.get(self.started)?;
        let limits = self.limits.get_or_insert_with(|| {
            let pause = backoff();
            // LB-74: an attempt gets the whole backoff, and at least the connect timeout.
            let attempt_timeout = pause.max(settings.connect_timeout.0);
            Limits { retry_at: now + pause, attempt_timeout, give_up_at: now }
        });
        // Earlier attempts continue; the last one gets its full time.
        limits.give_up_at = now + limits.attempt_timeout;
        self.started += 1;
        self.running += 1;
        self.wanted = false;
        // LB-69: the next attempt starts after the delay or a failure.
        self.next_at = self.has_more().then(|| now + settings.attempt_delay.duration());
        Some(address)
    }

    pub(super) fn on_failed(&mut self, now: Instant, error: &str) -> Option<Failure> {
        self.running = self.running.saturating_sub(1);
        self.last_error = Some(error.into());
        if self.has_more() {
            self.wanted = true;
            self.next_at = None;
        }
        (self.running == 0 && !self.has_more()).then(|| self.failure(now))
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        match self.wanted {
            true => None,
            false => self.next_at.or_else(|| self.limits.as_ref().map(|limits| limits.give_up_at)),
        }
    }

    pub(super) fn on_deadline(&mut self, now: Instant) -> Option<Failure> {
        if self.next_at.is_some_and(|at| at <= now) {
            self.wanted = true;
            self.next_at = None;
            return None;
        }
        let limits = self.limits.as_ref()?;
        // An attempt that the driver's limits hold back has no deadline.
        if self.has_more() || now < limits.give_up_at {
            return None;
        }
        let address = self.order.last()?;
        let timeout = limits.attempt_timeout;
        self.last_error = Some(format!("connect to {address}: no connection within {timeout:.1?}").into());
        Some(self.failure(now))
    }

    fn has_more(&self) -> bool {
        self.started < self.order.len()
    }

    fn failure(&mut self, now: Instant) -> Failure {
        let last = self.last_error.take().unwrap_or_else(|| "no address".into());
        let reason = match self.order.len() {
            0 | 1 => last,
            count => format!("none of {count} addresses can be reached, the last failure: {last}").into(),
        };
        Failure { reason, retry_at: self.limits.as_ref().map_or(now, |limits| limits.retry_at) }
    }
}

/// LB-70: without duplicates, IPv4 and IPv6 in turn, starting with the family of the first address.
fn interleaved(addresses: &[SocketAddr]) -> Vec<SocketAddr> {
    let mut unique: Vec<SocketAddr> = Vec::with_capacity(addresses.len());
    for address in addresses {
        if !unique.contains(address) {
            unique.push(*address);
        }
    }
    let Some(first) = unique.first().copied() else { return unique };
    let (mut preferred, mut other) = {
        let (same, different): (Vec<_>, Vec<_>) =
            unique.iter().copied().partition(|address| address.is_ipv4() == first.is_ipv4());
        (same.into_iter(), different.into_iter())
    };
    let mut order = Vec::with_capacity(unique.len());
    while order.len() < unique.len() {
        order.extend(preferred.next());
        order.extend(other.next());
    }
    order
}
