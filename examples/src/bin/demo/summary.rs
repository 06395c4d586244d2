//! What the demo says at its end.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::Serialize;

use super::load::Tally;

/// How far a split may be from what was asked for, in points of a hundred.
const TOLERANCE: f64 = 3.0;

/// The whole demo.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Summary {
    pub(crate) requests: u64,
    pub(crate) failed: u64,
    /// Microseconds.
    pub(crate) p50_us: u32,
    /// Microseconds.
    pub(crate) p99_us: u32,
    pub(crate) seconds: f64,
    pub(crate) phases: Vec<Phase>,
    #[serde(skip)]
    latencies: Tally,
    /// What went wrong, in words; empty when nothing did.
    pub(crate) problems: Vec<String>,
}

/// One chapter of the story.
#[derive(Debug, Serialize)]
pub(crate) struct Phase {
    pub(crate) name: &'static str,
    pub(crate) requests: u64,
    pub(crate) failed: u64,
    pub(crate) p50_us: u32,
    pub(crate) p99_us: u32,
    pub(crate) requests_by_version: BTreeMap<String, u64>,
    /// How many of a hundred calls v1 should get, and got.
    pub(crate) v1_percent_wanted: u32,
    pub(crate) v1_percent: f64,
}

impl Phase {
    /// A chapter from the results of its calls.
    #[expect(clippy::cast_precision_loss, reason = "counts of one minute's calls")]
    pub(crate) fn new(name: &'static str, wanted: u32, mut tally: Tally) -> Self {
        let answered: u64 = tally.by_version.values().sum();
        let v1 = tally.by_version.get("v1").copied().unwrap_or_default();
        Self {
            name,
            requests: tally.requests,
            failed: tally.failed,
            p50_us: tally.quantile(0.5),
            p99_us: tally.quantile(0.99),
            requests_by_version: tally.by_version,
            v1_percent_wanted: wanted,
            v1_percent: 100.0 * v1 as f64 / answered.max(1) as f64,
        }
    }

    /// Whether the calls were spread as asked for.
    pub(crate) fn split_holds(&self) -> bool {
        (self.v1_percent - f64::from(self.v1_percent_wanted)).abs() <= TOLERANCE
    }
}

impl Summary {
    /// Counts calls of any time.
    pub(crate) fn count(&mut self, tally: Tally) {
        self.requests += tally.requests;
        self.failed += tally.failed;
        self.problems.extend(tally.first_failure.iter().map(|failure| format!("a call failed: {failure}")));
        self.latencies.latencies.extend(tally.latencies);
    }

    /// The story is over after so long.
    pub(crate) fn finish(&mut self, time: Duration) {
        self.seconds = (time.as_secs_f64() * 10.0).round() / 10.0;
        self.p50_us = self.latencies.quantile(0.5);
        self.p99_us = self.latencies.quantile(0.99);
    }

    /// Whether everything went as told.
    pub(crate) fn is_success(&self) -> bool {
        self.failed == 0 && self.problems.is_empty()
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\n  chapter                        calls  failed   v1 %  wanted  p50 us  p99 us")?;
        for phase in &self.phases {
            let Phase { name, requests, failed, v1_percent, v1_percent_wanted, p50_us, p99_us, .. } = phase;
            writeln!(
                f,
                "  {name:<28}  {requests:>6}  {failed:>6}  {v1_percent:>5.1}  {v1_percent_wanted:>6}  {p50_us:>6}  {p99_us:>6}"
            )?;
        }
        let Self { requests, failed, p50_us, p99_us, seconds, .. } = self;
        writeln!(
            f,
            "\n  {requests} calls in {seconds} s, {failed} failed; p50 {p50_us} us, p99 {p99_us} us"
        )?;
        for problem in &self.problems {
            writeln!(f, "  problem: {problem}")?;
        }
        Ok(())
    }
}
