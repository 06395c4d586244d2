//! What is printed.

use std::io::Write;
use std::time::Duration;

use anyhow::Result;
use serde::Serialize;

/// All figures of a run.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) clients: u32,
    pub(crate) services: u32,
    pub(crate) endpoints: u32,
    pub(crate) subscribe: u32,
    pub(crate) protocol: &'static str,
    pub(crate) first: Connects,
    pub(crate) changes: Changes,
    /// Namespaces of the clients that differ in a tenth of the services' routes.
    pub(crate) scopes: u32,
    /// If asked for.
    pub(crate) steady: Option<Steady>,
    pub(crate) again: Connects,
    pub(crate) rss_mib: f64,
    pub(crate) peak_rss_mib: f64,
    pub(crate) rss_mib_after_reconnect: f64,
    pub(crate) peak_rss_mib_after_reconnect: f64,
    /// Messages that a client could not read; anything but 0 is a fault.
    pub(crate) unreadable: u64,
}

/// How all clients came.
#[derive(Debug, Serialize)]
pub(crate) struct Connects {
    /// Until the last client had accepted something of every type.
    pub(crate) seconds: f64,
    /// Connections made.
    pub(crate) connects: usize,
    /// The largest share of them in any 100 ms.
    pub(crate) busiest_bucket_share: f64,
    /// In messages to the clients.
    pub(crate) bytes: u64,
}

/// What one change of one endpoint takes, from the rename of its file to the last ACK.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Changes {
    pub(crate) changes: usize,
    /// Clients that a change concerns, on average.
    pub(crate) subscribers: f64,
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
    pub(crate) max_ms: f64,
    /// In messages to all clients, per change.
    pub(crate) bytes: u64,
    /// Of the server, per change, with all it does between two.
    pub(crate) cpu_ms: f64,
}

/// Changes at a steady rate.
#[derive(Debug, Serialize)]
pub(crate) struct Steady {
    pub(crate) seconds: f64,
    pub(crate) changes: u32,
    /// Cores that the server had in use, on average.
    pub(crate) cores: f64,
    /// In messages to all clients.
    pub(crate) bytes: u64,
    /// Responses that were sent before the one before, of the same type to the same client, had its ACK.
    pub(crate) overlaps: u64,
}

impl Changes {
    pub(crate) fn of(mut latencies: Vec<Duration>) -> Self {
        latencies.sort_unstable();
        let quantile = |percent: usize| {
            let place = (latencies.len() * percent).div_ceil(100).saturating_sub(1);
            latencies.get(place).map_or(0.0, |latency| latency.as_secs_f64() * 1e3)
        };
        Self {
            changes: latencies.len(),
            p50_ms: quantile(50),
            p99_ms: quantile(99),
            max_ms: quantile(100),
            ..Self::default()
        }
    }
}

impl Report {
    /// Prints text, or JSON.
    pub(crate) fn print(&self, json: bool) -> Result<()> {
        let mut output = std::io::stdout().lock();
        if json {
            writeln!(output, "{}", serde_json::to_string_pretty(self)?)?;
            return Ok(());
        }
        let Self { clients, services, endpoints, subscribe, protocol, changes, .. } = self;
        writeln!(
            output,
            "{clients} clients ({protocol}), {services} services, {endpoints} endpoints, {subscribe} services each\n"
        )?;
        for (what, connects) in [("connect", &self.first), ("reconnect after kill", &self.again)] {
            writeln!(
                output,
                "{what}: {:.2} s until the last ACK, {} connects, busiest 100 ms {:.0} %, {:.1} MiB sent",
                connects.seconds,
                connects.connects,
                connects.busiest_bucket_share * 100.0,
                mib(connects.bytes)
            )?;
        }
        writeln!(
            output,
            "one endpoint changed, {} times, {:.0} subscribers each: rename to last ACK p50 {:.0} ms, p99 {:.0} ms, \
             max {:.0} ms; {} bytes sent and {:.1} ms of server CPU per change",
            changes.changes,
            changes.subscribers,
            changes.p50_ms,
            changes.p99_ms,
            changes.max_ms,
            changes.bytes,
            changes.cpu_ms
        )?;
        if let Some(steady) = &self.steady {
            writeln!(
                output,
                "{} changes in {:.1} s: {:.2} cores of the server, {:.1} MiB sent, {} responses before the ACK of the one before",
                steady.changes,
                steady.seconds,
                steady.cores,
                mib(steady.bytes),
                steady.overlaps
            )?;
        }
        writeln!(
            output,
            "server memory: {:.0} MiB (peak {:.0}), after the reconnect {:.0} MiB (peak {:.0})",
            self.rss_mib, self.peak_rss_mib, self.rss_mib_after_reconnect, self.peak_rss_mib_after_reconnect
        )?;
        if self.unreadable > 0 {
            writeln!(output, "{} messages could not be read", self.unreadable)?;
        }
        Ok(())
    }
}

#[expect(clippy::cast_precision_loss, reason = "for a glance")]
fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}
