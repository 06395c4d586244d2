//! The only place that writes to the standard streams.

use std::io::{self, IsTerminal, Write};

use super::text::escaped;
use super::yaml::to_yaml;

/// How a piece of text looks on a terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    Plain,
    Bold,
    Good,
    Uncertain,
    Bad,
}

/// A piece of a line.
pub(super) type Span = (Style, String);

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

    fn style(self, style: Style, text: &str) -> String {
        let code = match style {
            Style::Plain => return text.to_owned(),
            Style::Bold => "1",
            Style::Good => "32",
            Style::Uncertain => "33",
            Style::Bad => "31",
        };
        if self.colour { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }

    /// A line of the result. Control characters are shown instead of sent to the terminal.
    pub(super) fn line(self, text: &str) {
        self.spans(&[(Style::Plain, text.to_owned())]);
    }

    /// The same line, in pieces.
    pub(super) fn spans(self, spans: &[Span]) {
        self.write(&self.painted(spans));
    }

    fn painted(self, spans: &[Span]) -> String {
        spans.iter().map(|(style, text)| self.style(*style, &escaped(text))).collect()
    }

    /// The result as indented JSON.
    pub(super) fn json(self, value: &impl serde::Serialize) {
        match serde_json::to_string_pretty(value) {
            Ok(text) => self.write(&text),
            Err(error) => note(&format!("error: {error}")),
        }
    }

    /// The result as YAML, with the fields of the JSON.
    pub(super) fn yaml(self, value: &impl serde::Serialize) {
        match serde_json::to_value(value) {
            Ok(value) => self.write(to_yaml(&value).trim_end_matches('\n')),
            Err(error) => note(&format!("error: {error}")),
        }
    }

    fn write(self, text: &str) {
        let _ = writeln!(io::stdout(), "{text}");
    }
}

/// Lines on standard error.
pub(super) fn note(text: &str) {
    for line in text.split('\n') {
        let _ = writeln!(io::stderr(), "{}", escaped(line));
    }
}

/// `1 error`, `2 errors`.
pub(super) fn count(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

/// Whether the user wants no colour (no-color.org).
pub(super) fn no_color() -> bool {
    std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escape_codes_of_input_are_removed() {
        let spans =
            [(Style::Bad, "refused\u{1b}[0m".to_owned()), (Style::Plain, " \u{1b}]0;x\u{7}".to_owned())];
        let plain = Output { colour: false }.painted(&spans);
        assert_eq!(plain, "refused\\u{1b}[0m \\u{1b}]0;x\\u{7}");
        let coloured = Output { colour: true }.painted(&spans);
        assert_eq!(coloured, "\u{1b}[31mrefused\\u{1b}[0m\u{1b}[0m \\u{1b}]0;x\\u{7}");
    }
}
