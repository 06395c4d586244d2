//! What the comparison prints.

use std::collections::BTreeMap;
use std::io::Write;

use anyhow::Result;
use serde::Serialize;

use super::measure::Sample;
use super::peers::{Name, PLAIN, Policies};

/// Samples by load and peer, in the order of their first appearance.
#[derive(Debug)]
pub(crate) struct Report {
    payload: usize,
    threads: u32,
    samples: BTreeMap<(u32, Name), Vec<Sample>>,
}

/// A peer's medians under one load, and how they stand to plain tonic's.
#[derive(Debug, Serialize)]
struct Row {
    peer: &'static str,
    endpoints: u32,
    in_flight: u32,
    threads: u32,
    policies: Policies,
    cpu_us_per_call: f64,
    allocations_per_call: f64,
    p50_us: f64,
    p99_us: f64,
    calls_per_second: f64,
    /// Medians of the ratios round by round, against tonic's own client for the same number of endpoints.
    against: &'static str,
    cpu_ratio: f64,
    p50_ratio: f64,
    p99_ratio: f64,
    calls_per_second_ratio: f64,
    allocations_ratio: f64,
}

impl Report {
    pub(crate) fn new(payload: usize, threads: u32) -> Self {
        Self { payload, threads, samples: BTreeMap::new() }
    }

    pub(crate) fn add(&mut self, peer: Name, in_flight: u32, sample: Sample) {
        self.samples.entry((in_flight, peer)).or_default().push(sample);
    }

    /// Prints a table, or JSON.
    pub(crate) fn print(&self, json: bool) -> Result<()> {
        let rows: Vec<_> = self.samples.iter().map(|(key, samples)| self.row(*key, samples)).collect();
        let mut output = std::io::stdout().lock();
        if json {
            let report = serde_json::json!({ "payload_bytes": self.payload, "rows": rows });
            writeln!(output, "{}", serde_json::to_string_pretty(&report)?)?;
            return Ok(());
        }
        writeln!(
            output,
            "{} byte calls; medians over the rounds; ratios against tonic's own client\n",
            self.payload
        )?;
        writeln!(
            output,
            "threads  in flight  endpoints  client               policies  CPU us  ratio  allocs  ratio  p50 us  ratio  p99 us  ratio   calls/s  ratio"
        )?;
        for row in rows {
            writeln!(
                output,
                "{:>7}  {:>9}  {:>9}  {:<19}  {:<8}  {:>6.2}  {:>5.2}  {:>6.1}  {:>5.2}  {:>6.1}  {:>5.2}  {:>6.1}  {:>5.2}  {:>8.0}  {:>5.2}",
                row.threads,
                row.in_flight,
                row.endpoints,
                row.peer,
                row.policies.label(),
                row.cpu_us_per_call,
                row.cpu_ratio,
                row.allocations_per_call,
                row.allocations_ratio,
                row.p50_us,
                row.p50_ratio,
                row.p99_us,
                row.p99_ratio,
                row.calls_per_second,
                row.calls_per_second_ratio,
            )?;
        }
        Ok(())
    }

    fn row(&self, (in_flight, name): (u32, Name), samples: &[Sample]) -> Row {
        let base = name.base();
        let bases = self.samples.get(&(in_flight, base)).map_or(samples, Vec::as_slice);
        let of = |value: fn(&Sample) -> f64| median(samples.iter().map(value));
        let ratio = |value: fn(&Sample) -> f64| {
            median(samples.iter().zip(bases).map(|(ours, theirs)| value(ours) / value(theirs)))
        };
        let cpu = |sample: &Sample| sample.cpu.as_secs_f64() * 1e6;
        let p50 = |sample: &Sample| sample.p50.as_secs_f64() * 1e6;
        let p99 = |sample: &Sample| sample.p99.as_secs_f64() * 1e6;
        Row {
            peer: name.label,
            endpoints: name.endpoints,
            in_flight,
            threads: self.threads,
            policies: name.policies,
            cpu_us_per_call: of(cpu),
            allocations_per_call: of(|sample| sample.allocations),
            p50_us: of(p50),
            p99_us: of(p99),
            calls_per_second: of(|sample| sample.calls_per_second),
            against: base.label,
            cpu_ratio: ratio(cpu),
            p50_ratio: ratio(p50),
            p99_ratio: ratio(p99),
            calls_per_second_ratio: ratio(|sample| sample.calls_per_second),
            allocations_ratio: ratio(|sample| sample.allocations),
        }
    }
}

impl Name {
    /// tonic's own client for the same number of endpoints.
    fn base(self) -> Self {
        if self.endpoints == PLAIN.endpoints { PLAIN } else { super::peers::BALANCED }
    }
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<_> = values.collect();
    values.sort_unstable_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
