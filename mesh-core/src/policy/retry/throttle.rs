//! Retry throttling (gRFC A6): one count of tokens for all calls of a channel to its server.

use std::sync::atomic::{AtomicU32, Ordering};

use crate::config::ConfigError;

/// When retries and hedges stop because too many attempts fail (gRFC A6, `retryThrottling`).
///
/// A channel begins with all tokens. A failure that its policy would retry costs one, a call with a response earns
/// `token_ratio`. While half of the tokens or fewer are left, no attempt follows a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryThrottling {
    /// In thousandths of a token.
    max: u32,
    ratio: u32,
}

impl RetryThrottling {
    /// `max_tokens` from 1 to 1000, and the tokens that a call with a response earns, read to three decimals.
    ///
    /// # Errors
    /// [`ConfigError::InvalidThrottling`] for numbers out of range.
    // RT-48
    pub fn new(max_tokens: u32, token_ratio: f64) -> Result<Self, ConfigError> {
        let ratio = (token_ratio * 1000.0).trunc();
        match (max_tokens, ratio) {
            (1..=1000, 1.0..=1_000_000.0) => Ok(Self { max: max_tokens * TOKEN, ratio: ratio as u32 }),
            _ => Err(ConfigError::InvalidThrottling { max_tokens }),
        }
    }
}

/// The tokens of a channel.
#[derive(Debug)]
pub(crate) struct RetryTokens {
    throttling: RetryThrottling,
    left: AtomicU32,
}

impl RetryTokens {
    pub(crate) fn new(throttling: RetryThrottling) -> Self {
        Self { throttling, left: AtomicU32::new(throttling.max) }
    }

    /// A failure that is retryable or comes with a negative pushback. Returns whether another attempt may follow.
    pub(crate) fn on_failure(&self) -> bool {
        let left = |left: u32| Some(left.saturating_sub(TOKEN));
        let before = self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, left).unwrap_or_default();
        before.saturating_sub(TOKEN) > self.throttling.max / 2
    }

    /// Whether a hedge may be sent now.
    pub(crate) fn allow_hedge(&self) -> bool {
        self.left.load(Ordering::Relaxed) > self.throttling.max / 2
    }

    /// A call has its response.
    pub(crate) fn on_success(&self) {
        let RetryThrottling { max, ratio } = self.throttling;
        let more = |left: u32| Some(left.saturating_add(ratio).min(max));
        // the update never refuses
        let _ = self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
    }
}

/// A token in thousandths.
const TOKEN: u32 = 1000;

#[cfg(test)]
mod tests {
    use super::*;

    /// Proves: RT-48.
    #[test]
    fn retries_stop_at_half_of_the_tokens_and_successes_earn_them_back() {
        let tokens = RetryTokens::new(RetryThrottling::new(10, 0.5555).unwrap());
        let allowed: Vec<bool> = (0..6).map(|_| tokens.on_failure()).collect();
        assert_eq!(allowed, [true, true, true, true, false, false]);
        assert!(!tokens.allow_hedge());
        // 4 tokens are left; 0.555 each
        (0..2).for_each(|_| tokens.on_success());
        assert!(tokens.allow_hedge());
        assert!(!tokens.on_failure());
        (0..100).for_each(|_| tokens.on_success());
        assert_eq!(tokens.left.load(Ordering::Relaxed), 10_000, "never more than all");
        (0..20).for_each(|_| {
            tokens.on_failure();
        });
        assert_eq!(tokens.left.load(Ordering::Relaxed), 0);
        for (max, ratio) in [(0, 0.1), (1001, 0.1), (10, 0.0), (10, 0.0009), (10, -1.0), (10, f64::NAN)] {
            assert!(RetryThrottling::new(max, ratio).is_err(), "{max} {ratio}");
        }
        assert!(RetryThrottling::new(1000, 0.001).is_ok());
    }
}
