//! What is printed.

use std::collections::BTreeMap;
use std::io::Write;
use std::time::Duration;

use anyhow::Result;
use serde::Serialize;

use super::load::Sample;
use super::peers::{Client, Round};

/// Rounds by client.
#[derive(Debug)]
pub(crate) struct Report {
    seconds: u32,
    rounds: BTreeMap<Client, Vec<Round>>,
}

#[derive(Debug, Serialize)]
struct Row {
    peer: &'static str,
    /// Beside the offenders, as everything that does not say otherwise.
    calls: usize,
    failed: u32,
    /// What the failures said, and how often.
    reasons: BTreeMap<String, u32>,
    failed_alone: u32,
    p50_us: f64,
    p50_alone_us: f64,
    p99_us: f64,
    p99_alone_us: f64,
    p99_apart_us: f64,
    /// Medians of the ratios round by round, to the load alone.
    p50_ratio: f64,
    p99_ratio: f64,
    /// To the load while the offenders used another connection.
    p99_apart_ratio: f64,
}

impl Report {
    pub(crate) fn new(seconds: u32) -> Self {
        Self { seconds, rounds: BTreeMap::new() }
    }

    pub(crate) fn add(&mut self, client: Client, round: Round) {
        self.rounds.entry(client).or_default().push(round);
    }

    /// Prints a table, or JSON.
    pub(crate) fn print(&self, json: bool) -> Result<()> {
        let rows: Vec<_> = self.rounds.iter().map(|(client, rounds)| row(*client, rounds)).collect();
        let mut output = std::io::stdout().lock();
        if json {
            let report = serde_json::json!({ "seconds": self.seconds, "rows": rows });
            writeln!(output, "{}", serde_json::to_string_pretty(&report)?)?;
            return Ok(());
        }
        writeln!(
            output,
            "{} s of 1,000 calls per second beside offenders, as long alone, and as long with the offenders on another \
             connection (apart); medians over the rounds\n",
            self.seconds
        )?;
        writeln!(
            output,
            "client           calls  failed  alone  p50 us   alone  ratio  p99 us   alone  ratio   apart  ratio"
        )?;
        for row in &rows {
            writeln!(
                output,
                "{:<14}  {:>6}  {:>6}  {:>5}  {:>6.0}  {:>6.0}  {:>5.2}  {:>6.0}  {:>6.0}  {:>5.2}  {:>6.0}  {:>5.2}",
                row.peer,
                row.calls,
                row.failed,
                row.failed_alone,
                row.p50_us,
                row.p50_alone_us,
                row.p50_ratio,
                row.p99_us,
                row.p99_alone_us,
                row.p99_ratio,
                row.p99_apart_us,
                row.p99_apart_ratio,
            )?;
        }
        for row in &rows {
            for (reason, count) in &row.reasons {
                writeln!(output, "\n{}: {count} times {reason}", row.peer)?;
            }
        }
        Ok(())
    }
}

fn row(client: Client, rounds: &[Round]) -> Row {
    let mut reasons = BTreeMap::new();
    for (reason, count) in rounds.iter().flat_map(|round| &round.beside.reasons) {
        *reasons.entry(reason.clone()).or_default() += count;
    }
    let us = |sample: &Sample, per_mille| {
        sample.quantile(per_mille).as_ref().map_or(f64::NAN, Duration::as_secs_f64) * 1e6
    };
    let of = |sample: fn(&Round) -> &Sample, per_mille| {
        median(rounds.iter().map(|round| us(sample(round), per_mille)))
    };
    let ratio = |base: fn(&Round) -> &Sample, per_mille| {
        median(rounds.iter().map(|round| us(&round.beside, per_mille) / us(base(round), per_mille)))
    };
    Row {
        peer: client.label(),
        calls: rounds.iter().map(|round| round.beside.calls()).sum(),
        failed: rounds.iter().map(|round| round.beside.failed).sum(),
        reasons,
        failed_alone: rounds.iter().map(|round| round.alone.failed).sum(),
        p50_us: of(|round| &round.beside, 500),
        p50_alone_us: of(|round| &round.alone, 500),
        p99_us: of(|round| &round.beside, 990),
        p99_alone_us: of(|round| &round.alone, 990),
        p99_apart_us: of(|round| &round.apart, 990),
        p50_ratio: ratio(|round| &round.alone, 500),
        p99_ratio: ratio(|round| &round.alone, 990),
        p99_apart_ratio: ratio(|round| &round.apart, 990),
    }
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<_> = values.collect();
    values.sort_unstable_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
