//! What the bench prints.

use std::collections::BTreeMap;
use std::io::Write;
use std::ops::{Div, Sub};
use std::time::Duration;

use anyhow::Result;
use serde::Serialize;

use super::resources::Row as Decoded;

/// What work cost: CPU time and allocations.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sample {
    cpu_us: f64,
    allocations: f64,
}

/// What was measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(crate) struct CaseName {
    pub(crate) policy: &'static str,
    pub(crate) change: &'static str,
    pub(crate) endpoints: usize,
}

/// Samples by case.
#[derive(Debug, Default)]
pub(crate) struct Report {
    pub(crate) decoded: Vec<Decoded>,
    pub(crate) samples: BTreeMap<CaseName, Vec<Sample>>,
}

/// A case's medians, and how they stand to those of the smallest cluster.
#[derive(Debug, Serialize)]
struct Row {
    #[serde(flatten)]
    case: CaseName,
    cpu_us_per_change: f64,
    allocations_per_change: f64,
    cpu_ratio: f64,
}

impl Sample {
    /// What this process has cost so far.
    #[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
    pub(crate) fn now() -> Self {
        let cpu: Duration = benches::cpu_time();
        Self { cpu_us: cpu.as_secs_f64() * 1e6, allocations: benches::allocations() as f64 }
    }
}

impl Sub for Sample {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self { cpu_us: self.cpu_us - other.cpu_us, allocations: self.allocations - other.allocations }
    }
}

impl Div<u32> for Sample {
    type Output = Self;

    fn div(self, parts: u32) -> Self {
        let parts = f64::from(parts);
        Self { cpu_us: self.cpu_us / parts, allocations: self.allocations / parts }
    }
}

impl Report {
    pub(crate) fn add(&mut self, case: CaseName, sample: Sample) {
        self.samples.entry(case).or_default().push(sample);
    }

    /// Prints a table, or JSON.
    pub(crate) fn print(&self, json: bool) -> Result<()> {
        let rows: Vec<_> = self.samples.iter().map(|(case, samples)| self.row(*case, samples)).collect();
        let mut output = std::io::stdout().lock();
        if json {
            let report = serde_json::json!({ "decoded": self.decoded, "changes": rows });
            writeln!(output, "{}", serde_json::to_string_pretty(&report)?)?;
            return Ok(());
        }
        writeln!(output, "from the bytes of resources to validated values; medians\n")?;
        writeln!(
            output,
            "response            resources   MiB   CPU ms   MiB/s  allocations  MiB kept  peak RSS MiB"
        )?;
        for row in &self.decoded {
            let Decoded { what, resources, cpu_ms, mib_per_second, allocations, peak_rss_mib, .. } = row;
            let [sent, kept] = [row.bytes, row.kept_bytes].map(|bytes| bytes as f64 / f64::from(1 << 20));
            writeln!(
                output,
                "{what:<18}  {resources:>9}  {sent:>4.1}  {cpu_ms:>7.1}  {mib_per_second:>6.1}  {allocations:>11}  {kept:>8.1}  {peak_rss_mib:>12.1}"
            )?;
        }
        writeln!(output, "\none changed endpoint, from a new configuration to what calls see; medians\n")?;
        writeln!(output, "policy         change   endpoints    CPU us   ratio  allocations")?;
        for Row { case, cpu_us_per_change, allocations_per_change, cpu_ratio } in rows {
            let CaseName { policy, change, endpoints } = case;
            writeln!(
                output,
                "{policy:<13}  {change:<7}  {endpoints:>9}  {cpu_us_per_change:>8.1}  {cpu_ratio:>6.2}  {allocations_per_change:>11.1}"
            )?;
        }
        Ok(())
    }

    fn row(&self, case: CaseName, samples: &[Sample]) -> Row {
        let cpu = |samples: &[Sample]| median(samples.iter().map(|sample| sample.cpu_us));
        let smallest =
            self.samples.iter().find(|(other, _)| (other.policy, other.change) == (case.policy, case.change));
        Row {
            case,
            cpu_us_per_change: cpu(samples),
            allocations_per_change: median(samples.iter().map(|sample| sample.allocations)),
            cpu_ratio: cpu(samples) / smallest.map_or(f64::NAN, |(_, samples)| cpu(samples)),
        }
    }
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<_> = values.collect();
    values.sort_unstable_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
