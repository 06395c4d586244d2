//! What the demo shows while it runs: a live table in a terminal, plain lines in a pipe.

use std::fmt::Write as _;
use std::io::{IsTerminal, Write};
use std::time::Instant;

use super::load::Tally;
use super::process::Endpoint;

/// Where the story is told.
#[derive(Debug)]
pub(crate) struct Screen {
    mode: Mode,
    start: Instant,
    /// How many lines the table occupies at the moment.
    drawn: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Table,
    Lines,
    Silent,
}

impl Screen {
    /// A table in a terminal, lines in a pipe; nothing at all if `silent`, for output that programs read.
    pub(crate) fn new(silent: bool) -> Self {
        let mode = match (silent, std::io::stdout().is_terminal()) {
            (true, _) => Mode::Silent,
            (false, true) => Mode::Table,
            (false, false) => Mode::Lines,
        };
        Self { mode, start: Instant::now(), drawn: 0 }
    }

    /// Tells one sentence of the story.
    pub(crate) fn say(&mut self, sentence: &str) {
        let seconds = self.start.elapsed().as_secs_f64();
        self.print(&format!("{seconds:6.1}s  {sentence}\n"));
    }

    /// Shows how the last second went.
    pub(crate) fn show(&mut self, endpoints: &[Endpoint], tally: &mut Tally) {
        match self.mode {
            Mode::Table => self.draw(endpoints, tally),
            Mode::Lines => {
                let line = line(tally);
                self.say(&line);
            }
            Mode::Silent => {}
        }
    }

    /// Prints text above the table, which is drawn again at the next [`show`](Self::show).
    pub(crate) fn print(&mut self, text: &str) {
        if self.mode == Mode::Silent {
            return;
        }
        let text = format!("{}{text}", self.erase());
        self.drawn = 0;
        write_out(&text);
    }

    fn draw(&mut self, endpoints: &[Endpoint], tally: &mut Tally) {
        let mut text = self.erase();
        let mut lines = 2;
        let _ = writeln!(text, "\n  endpoint  version  address            process   calls/s");
        for endpoint in endpoints {
            let calls = tally.by_endpoint.get(&endpoint.name).copied().unwrap_or_default();
            let process = endpoint.id().map_or_else(|| "killed".to_owned(), |id| id.to_string());
            let bar = "#".repeat(usize::try_from(calls / 10).unwrap_or_default().min(40));
            let Endpoint { name, version, address, .. } = endpoint;
            let _ =
                writeln!(text, "  {name:<8}  {version:<7}  {address:<17}  {process:>7}  {calls:>7}  {bar}");
            lines += 1;
        }
        let _ = writeln!(text, "  {}", line(tally));
        self.drawn = lines + 1;
        write_out(&text);
    }

    /// What moves the cursor back over the table and clears it.
    fn erase(&self) -> String {
        match self.drawn {
            0 => String::new(),
            lines => format!("\x1b[{lines}A\x1b[J"),
        }
    }
}

/// A second in one line.
fn line(tally: &mut Tally) -> String {
    let (p50, p99) = (tally.quantile(0.5), tally.quantile(0.99));
    let Tally { requests, failed, by_version, .. } = tally;
    let versions: Vec<_> = by_version.iter().map(|(version, calls)| format!("{version} {calls}")).collect();
    format!("{requests} calls, {failed} failed, {}, p50 {p50} us, p99 {p99} us", versions.join(", "))
}

/// Writes to standard output; a closed pipe is no reason to end the story.
pub(crate) fn write_out(text: &str) {
    let mut output = std::io::stdout().lock();
    let _ = output.write_all(text.as_bytes()).and_then(|()| output.flush());
}

/// Writes to standard error.
pub(crate) fn write_error(text: &str) {
    let _ = std::io::stderr().lock().write_all(text.as_bytes());
}
