//! The one place that writes to the terminal.

use std::fmt;
use std::io::Write;

/// Writes a line to standard output. A closed pipe is not an error.
pub fn line(text: impl fmt::Display) {
    let mut out = std::io::stdout().lock();
    drop(writeln!(out, "{text}"));
    drop(out.flush());
}

/// Writes a line to standard error.
pub fn error(text: impl fmt::Display) {
    drop(writeln!(std::io::stderr().lock(), "{text}"));
}
