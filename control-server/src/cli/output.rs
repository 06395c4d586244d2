//! The only place that writes to the standard streams.

use std::io::{self, IsTerminal, Write};

/// How a piece of text looks on a terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    Plain,
    Bold,
    Good,
    Uncertain,
    Bad,
}

/// Standard output for results, standard error for everything else. A closed pipe is no error.
#[derive(Debug, Clone, Copy)]
pub(super) struct Output {
    colour: bool,
}

impl Output {
    /// Colour on a terminal only, and not where `NO_COLOR` is set.
    pub(super) fn new() -> Self {
        Self { colour: io::stdout().is_terminal() && !no_color() }
    }

    pub(super) fn style(self, style: Style, text: &str) -> String {
        let code = match style {
            Style::Plain => return text.to_owned(),
            Style::Bold => "1",
            Style::Good => "32",
            Style::Uncertain => "33",
            Style::Bad => "31",
        };
        if self.colour { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }

    /// A line of the result.
    pub(super) fn line(self, text: &str) {
        let _ = writeln!(io::stdout(), "{text}");
    }

    /// The result as indented JSON.
    pub(super) fn json(self, value: &impl serde::Serialize) {
        match serde_json::to_string_pretty(value) {
            Ok(text) => self.line(&text),
            Err(error) => note(&format!("error: {error}")),
        }
    }
}

/// A line beside the result.
pub(super) fn note(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}

/// `1 error`, `2 errors`.
pub(super) fn count(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

/// Whether the user wants no colour (no-color.org).
pub(super) fn no_color() -> bool {
    std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
}
