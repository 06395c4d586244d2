//! A token bucket in one number (the generic cell rate algorithm).

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// How many tokens a bucket holds, and how fast it gets new ones.
///
/// Tokens come evenly: with 10 per second, one every 100 ms. Rates are kept within 1 % up to 100 million tokens a second.
// HF-38
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TokenLimit {
    max_tokens: u32,
    /// In parts of a nanosecond; at least 1.
    time_per_token: u64,
}

impl TokenLimit {
    /// A bucket of at most `max_tokens`, full at first, that gets `tokens` new ones in each `interval`. Without room for a
    /// token nothing passes.
    ///
    /// # Errors
    /// [`InvalidLimit`] when `tokens` or `interval` is zero: the bucket would never be filled again, or be filled at once.
    pub fn new(max_tokens: u32, tokens: u32, interval: Duration) -> Result<Self, InvalidLimit> {
        if tokens == 0 || interval.is_zero() {
            return Err(InvalidLimit);
        }
        let interval = parts(interval);
        Ok(Self { max_tokens, time_per_token: interval.div_ceil(u64::from(tokens)).max(1) })
    }

    /// The size of the bucket.
    pub fn max_tokens(self) -> u32 {
        self.max_tokens
    }

    /// How long it takes to get one token.
    pub(super) fn time_per_token(self) -> u64 {
        self.time_per_token
    }

    fn time_of(self, tokens: u32) -> u64 {
        self.time_per_token.saturating_mul(u64::from(tokens)).min(LONGEST)
    }
}

/// A limit that can never be met, or that limits nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a token bucket must get at least one token in an interval above zero")]
pub struct InvalidLimit;

/// A bucket's tokens. The limit is an argument: it can change while the tokens that were taken stay taken.
///
/// The number is the time at which the bucket is full again, in parts of a nanosecond.
#[derive(Debug, Default)]
pub(crate) struct TokenBucket(AtomicU64);

impl TokenBucket {
    /// Takes `cost` tokens, or none if there are not enough. `now` is the time since a moment before the bucket was made; should it
    /// step back, the tokens stay as they are, and new ones come from then on.
    pub(crate) fn take(&self, now: Duration, limit: TokenLimit, cost: u32) -> Result<Standing, Standing> {
        let now = parts(now);
        let full = limit.time_of(limit.max_tokens);
        let mut known = self.0.load(Ordering::Relaxed);
        loop {
            // At most everything is taken: an earlier clock or a larger limit may have left more than that.
            let taken = known.saturating_sub(now).min(full);
            let wanted = taken.saturating_add(limit.time_of(cost));
            let passes = wanted <= full;
            // A refused call changes nothing, unless the clock has stepped back: then the bucket fills from now on. Threads that
            // read the clock a little earlier than others must not do that.
            let has_stepped_back = known > now + full + SKEW;
            let left = now + if passes { wanted } else { taken };
            let replaced = if passes || has_stepped_back {
                self.0.compare_exchange_weak(known, left, Ordering::Relaxed, Ordering::Relaxed)
            } else {
                Ok(known)
            };
            match replaced {
                Ok(_) if passes => return Ok(Standing { limit, taken: wanted, missing: 0 }),
                Ok(_) => return Err(Standing { limit, taken, missing: wanted - full }),
                Err(other) => known = other,
            }
        }
    }
}

/// The state of a bucket after a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Standing {
    pub(super) limit: TokenLimit,
    /// How long it takes until the bucket is full.
    taken: u64,
    /// How long it takes until a refused call could pass.
    missing: u64,
}

impl Standing {
    /// The size of the bucket.
    pub(crate) fn max_tokens(self) -> u32 {
        self.limit.max_tokens
    }

    /// The number of tokens that are left.
    pub(crate) fn remaining(self) -> u32 {
        let free = self.limit.time_of(self.limit.max_tokens).saturating_sub(self.taken);
        u32::try_from(free / self.limit.time_per_token).unwrap_or(u32::MAX)
    }

    /// How long it takes until the bucket is full.
    pub(crate) fn full_after(self) -> Duration {
        Duration::from_nanos(self.taken / PARTS)
    }

    /// How long it takes until the refused call could pass.
    pub(crate) fn retry_after(self) -> Duration {
        Duration::from_nanos(self.missing.div_ceil(PARTS))
    }
}

fn parts(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX).saturating_mul(PARTS).min(LONGEST)
}

/// Into so many parts a nanosecond is divided, so that quick rates are exact.
const PARTS: u64 = 16;

/// The longest time: 9 years. The sum of two and of [`SKEW`] fits.
const LONGEST: u64 = u64::MAX / 4;

/// By so much the clocks of two threads may differ: a second.
const SKEW: u64 = 1_000_000_000 * PARTS;
