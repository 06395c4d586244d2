//! Faults that routes inject, and what callers must see of them: the same for every client.

use std::collections::BTreeMap;

use crate::yaml::everything;

/// Rules with a fault, and how calls end under them.
#[derive(Debug, Clone)]
pub struct FaultCase {
    /// For messages.
    pub name: &'static str,
    /// The greeter's routes.
    pub rules: Vec<String>,
    /// The share of calls that end with each status; together 1.
    pub shares: &'static [(&'static str, f64)],
}

/// How many calls each case takes.
pub const CALLS: u32 = 300;
/// How long each call may take. Every delay is longer, so that a delayed call ends with DEADLINE_EXCEEDED.
pub const TIMEOUT_SECONDS: u32 = 3;

impl FaultCase {
    /// gRPC's cases for routes with faults, and one with retries beside the fault.
    pub fn all() -> Vec<Self> {
        let fault = |fault: &str| format!("{{fault: {{{fault}}}, {}}}", everything());
        let delay = |percent| fault(&format!("delay: {{percentage: {{value: {percent}}}, fixedDelay: 20s}}"));
        let abort = |percent| {
            fault(&format!("abort: {{percentage: {{value: {percent}}}, grpcStatus: UNAUTHENTICATED}}"))
        };
        let other_calls = abort(100).replacen('{', "{match: [{headers: {x-fault: {exact: \"yes\"}}}], ", 1);
        let retried = "abort: {percentage: {value: 50}, grpcStatus: UNAVAILABLE}";
        let retried = fault(retried).replacen('{', "{retries: {attempts: 3, retryOn: unavailable}, ", 1);
        let case = |name, rules, shares| Self { name, rules, shares };
        vec![
            case(
                "0 %",
                vec![format!(
                    "{{fault: {{delay: {{percentage: {{value: 0}}, fixedDelay: 20s}}, abort: {{httpStatus: 503}}}}, {}}}",
                    everything()
                )],
                &[("OK", 1.0)],
            ),
            case("other calls", vec![other_calls, format!("{{{}}}", everything())], &[("OK", 1.0)]),
            case("always delay", vec![delay(100)], &[("DEADLINE_EXCEEDED", 1.0)]),
            case("always abort", vec![abort(100)], &[("UNAUTHENTICATED", 1.0)]),
            case("delay half", vec![delay(50)], &[("DEADLINE_EXCEEDED", 0.5), ("OK", 0.5)]),
            case("abort half", vec![abort(50)], &[("UNAUTHENTICATED", 0.5), ("OK", 0.5)]),
            case("abort half with retries", vec![retried], &[("UNAVAILABLE", 0.5), ("OK", 0.5)]),
        ]
    }

    /// Compares the counts with the shares.
    ///
    /// # Errors
    /// A status that must not occur, or counts that good randomness gives once in a thousand million times.
    pub fn check(&self, counts: &BTreeMap<String, u64>) -> Result<(), String> {
        let total: u64 = counts.values().sum();
        let stranger = counts.keys().find(|code| !self.shares.iter().any(|(known, _)| known == code));
        let chi_squared: f64 = self
            .shares
            .iter()
            .map(|(code, share)| {
                let expected = float(total) * share;
                let difference = float(counts.get(*code).copied().unwrap_or_default()) - expected;
                difference * difference / expected
            })
            .sum();
        // One degree of freedom at most.
        if total == 0 || stranger.is_some() || chi_squared > 37.3 {
            return Err(format!("{}: chi-squared {chi_squared:.1} of {counts:?}", self.name));
        }
        Ok(())
    }
}

#[expect(clippy::cast_precision_loss, reason = "a test makes fewer calls than a float counts")]
fn float(count: u64) -> f64 {
    count as f64
}
