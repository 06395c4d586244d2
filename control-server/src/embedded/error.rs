//! Why embedded configuration cannot be used.

use std::error::Error;
use std::fmt;

use crate::causes::with_causes;
use crate::state::Diagnostic;

/// Why embedded configuration cannot be used. Prints every error with its line.
#[derive(Clone, PartialEq, Eq)]
pub struct EmbeddedError {
    message: String,
    diagnostics: Vec<Diagnostic>,
}

impl EmbeddedError {
    pub(super) fn invalid(diagnostics: Vec<Diagnostic>) -> Self {
        let lines: Vec<_> = diagnostics.iter().map(ToString::to_string).collect();
        Self { message: format!("the configuration has errors:\n{}", lines.join("\n")), diagnostics }
    }

    pub(super) fn no_runtime() -> Self {
        Self::text("the configuration is served by tasks: call this in a tokio runtime".to_owned())
    }

    pub(super) fn other(error: impl Error) -> Self {
        Self::text(with_causes(&error))
    }

    fn text(message: String) -> Self {
        Self { message, diagnostics: Vec::new() }
    }

    /// The errors in the configuration, by file and line; empty if that is not the reason.
    pub fn diagnostics(&self) -> &[Diagnostic] {
        &self.diagnostics
    }
}

impl fmt::Display for EmbeddedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl fmt::Debug for EmbeddedError {
    /// As [`Display`](fmt::Display): it is what `main` prints.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Error for EmbeddedError {}
