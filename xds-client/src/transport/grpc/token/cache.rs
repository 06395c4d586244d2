//! When a token is used, and when it is read again.

use std::time::Duration;

use http::HeaderValue;
use mesh_core::policy::backoff::{Backoff, BackoffSettings};
use rand::Rng;
use tokio::time::Instant;

use crate::transport::TransportError;

/// A token, and how long it is valid from the moment it was read.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Token {
    header: HeaderValue,
    valid_for: Duration,
}

impl Token {
    /// # Errors
    /// The text cannot be sent in a header.
    pub(super) fn new(token: &str, valid_for: Duration) -> Result<Self, TransportError> {
        // BS-16
        let mut header = HeaderValue::try_from(format!("Bearer {token}")).map_err(|_| {
            TransportError::credentials("UNAUTHENTICATED: the token has characters that no token has")
        })?;
        header.set_sensitive(true);
        Ok(Self { header, valid_for })
    }

    pub(super) fn header(&self) -> HeaderValue {
        self.header.clone()
    }
}

/// The state of a token.
///
/// ```text
///            ┌───────── on_call: none valid ────────┐
///            │                                      ▼
///   ┌─ nothing cached ◀── expired ── cached    reading ──▶ cached
///   │        ▲                         │            │
///   │        │                  on_call, less than  │ failed
///   │     backoff over            a minute left:    ▼
///   └────────┴───── on_call: fail ── read beside  backing off
/// ```
#[derive(Debug, Default)]
pub(super) struct TokenCache {
    /// The header, and when it stops being used.
    token: Option<(HeaderValue, Instant)>,
    is_reading: bool,
    backoff: Backoff,
    /// Why the last read failed, and when the next may begin.
    failure: Option<(TransportError, Instant)>,
}

/// What a call has to do.
#[derive(Debug, PartialEq)]
pub(super) enum Step {
    Use(HeaderValue),
    /// Use this token, which is valid and about to expire, and read the next.
    UseAndRead(HeaderValue),
    /// Read a token and wait for it.
    Read,
    /// Wait for the read that has begun.
    Wait,
    Fail(TransportError),
}

impl TokenCache {
    /// Only calls begin a read (BS-15). After a read the caller calls [`on_read`](Self::on_read).
    pub(super) fn on_call(&mut self, now: Instant) -> Step {
        let may_read = !self.is_reading && self.failure.as_ref().is_none_or(|(_, until)| now >= *until);
        match &self.token {
            Some((header, expires)) if now < *expires => {
                // BS-14
                let is_read = may_read && *expires - now < REFRESH;
                self.is_reading |= is_read;
                if is_read { Step::UseAndRead(header.clone()) } else { Step::Use(header.clone()) }
            }
            _ if self.is_reading => Step::Wait,
            _ if may_read => {
                self.is_reading = true;
                Step::Read
            }
            _ => match &self.failure {
                Some((error, _)) => Step::Fail(error.clone()),
                None => Step::Wait,
            },
        }
    }

    /// A read has ended.
    pub(super) fn on_read(&mut self, now: Instant, read: Result<Token, TransportError>, rng: &mut dyn Rng) {
        self.is_reading = false;
        match read {
            Ok(Token { header, valid_for }) => {
                // BS-14
                let expires = now.checked_add(valid_for.min(LONGEST).saturating_sub(SKEW)).unwrap_or(now);
                self.token = Some((header, expires));
                self.backoff = Backoff::default();
                self.failure = None;
            }
            // BS-15
            Err(error) => {
                self.failure = Some((error, now + self.backoff.next(&BackoffSettings::default(), rng)))
            }
        }
    }
}

/// A token is not used for this long before it expires: clocks differ, and calls take time.
const SKEW: Duration = Duration::from_secs(30);

/// A token is read again when this time is left until it is not used any more.
const REFRESH: Duration = Duration::from_secs(60);

/// No token is kept longer, even if it is valid longer.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);
