//! When the key set of an issuer is fetched: at first, each time it has become old, and when a token names an unknown key.
//!
//! ```text
//!              on_begun                   on_fetched
//!   DUE(at) --------------> FETCHING ----------------------> DUE(now + cache duration, or + backoff after a failure)
//!      ^                                                       |
//!      +-- on_unknown_key: at most once per interval ----------+
//! ```

use std::time::{Duration, Instant};

/// When one key set is fetched. The keys themselves stay in use until other ones have come.
// J6
#[derive(Debug)]
pub(crate) struct KeyRefresh {
    cache: Duration,
    first_retry: Duration,
    /// `None`: it is being fetched.
    due: Option<Instant>,
    last_end: Option<Instant>,
    failures: u32,
}

/// What a token waits for whose key is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum UnknownKey {
    /// The fetch that runs or begins now.
    Wait,
    /// Nothing: the keys have just been fetched, or cannot be.
    Refuse,
}

impl KeyRefresh {
    /// A key set that has never been fetched and is due now.
    pub(crate) fn new(now: Instant, cache: Duration, first_retry: Duration) -> Self {
        Self { cache, first_retry, due: Some(now), last_end: None, failures: 0 }
    }

    /// When the next fetch begins; `None` while one runs.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.due
    }

    /// A fetch begins.
    pub(crate) fn on_begun(&mut self) {
        self.due = None;
    }

    /// The fetch has ended.
    pub(crate) fn on_fetched(&mut self, now: Instant, has_succeeded: bool) {
        let pause = match has_succeeded {
            true => {
                self.failures = 0;
                self.cache
            }
            // HF-43: seconds after the first failure, whatever the keys' age
            false => {
                let doubled = self.first_retry.saturating_mul(1 << self.failures.min(MAX_DOUBLINGS));
                self.failures = self.failures.saturating_add(1);
                doubled.min(LONGEST_RETRY).max(self.first_retry)
            }
        };
        self.last_end = Some(now);
        self.due = now.checked_add(pause).or(Some(now + LONGEST_PAUSE));
    }

    /// A token names a key that is not in the set, or there is no set.
    // J5: one shared fetch per interval; other tokens are refused at once
    pub(crate) fn on_unknown_key(&mut self, now: Instant) -> UnknownKey {
        let Some(due) = self.due else { return UnknownKey::Wait };
        let is_allowed = match self.last_end {
            _ if due <= now => true,
            None => true,
            Some(_) if self.failures > 0 => false,
            Some(last) => now.saturating_duration_since(last) >= UNKNOWN_KEY_INTERVAL,
        };
        if !is_allowed {
            return UnknownKey::Refuse;
        }
        self.due = Some(due.min(now));
        UnknownKey::Wait
    }
}

/// Between fetches for unknown keys.
const UNKNOWN_KEY_INTERVAL: Duration = Duration::from_secs(10);
const LONGEST_RETRY: Duration = Duration::from_secs(30);
/// For a duration that no clock reaches.
const LONGEST_PAUSE: Duration = Duration::from_secs(24 * 60 * 60);
const MAX_DOUBLINGS: u32 = 16;

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn fetch(refresh: &mut KeyRefresh, now: Instant, has_succeeded: bool) -> Duration {
        refresh.on_begun();
        assert_eq!(refresh.due(), None);
        refresh.on_fetched(now, has_succeeded);
        refresh.due().unwrap() - now
    }

    /// Row J6 of the identity cases, the times.
    #[test]
    fn failed_fetch_is_repeated_in_seconds_and_good_keys_are_renewed_when_old() {
        let now = Instant::now();
        let mut refresh = KeyRefresh::new(now, 600 * SECOND, SECOND);
        assert_eq!(refresh.due(), Some(now));
        let pauses: Vec<u64> = (0..7).map(|_| fetch(&mut refresh, now, false).as_secs()).collect();
        assert_eq!(pauses, [1, 2, 4, 8, 16, 30, 30]);
        assert_eq!(fetch(&mut refresh, now, true), 600 * SECOND);
        assert_eq!(fetch(&mut refresh, now, false), SECOND);
        let mut endless = KeyRefresh::new(now, Duration::MAX, Duration::MAX);
        assert_eq!(fetch(&mut endless, now, true), LONGEST_PAUSE);
        assert_eq!(fetch(&mut endless, now, false), LONGEST_PAUSE);
    }

    /// Row J5 of the identity cases, the times.
    #[test]
    fn unknown_keys_cause_one_fetch_per_interval() {
        let now = Instant::now();
        let mut refresh = KeyRefresh::new(now, 600 * SECOND, SECOND);
        assert_eq!(refresh.on_unknown_key(now), UnknownKey::Wait);
        refresh.on_begun();
        assert_eq!(refresh.on_unknown_key(now), UnknownKey::Wait);
        refresh.on_fetched(now, true);
        for _ in 0..1000 {
            assert_eq!(refresh.on_unknown_key(now + 9 * SECOND), UnknownKey::Refuse);
        }
        assert_eq!(refresh.due(), Some(now + 600 * SECOND));
        let later = now + 10 * SECOND;
        assert_eq!(refresh.on_unknown_key(later), UnknownKey::Wait);
        assert_eq!(refresh.due(), Some(later));
        refresh.on_begun();
        refresh.on_fetched(later, false);
        // until the next try they are refused at once
        assert_eq!(refresh.on_unknown_key(later), UnknownKey::Refuse);
        assert_eq!(refresh.on_unknown_key(later + SECOND), UnknownKey::Wait);
    }
}
