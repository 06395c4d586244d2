//! A failure as the user sees it.

use std::error::Error;
use std::process::ExitCode;

use super::output;
use crate::causes::with_causes;

/// What went wrong, with all its causes on one line.
#[derive(Debug)]
pub(super) struct Failure(String);

impl Failure {
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }

    /// Writes it to standard error.
    pub(super) fn report(&self) -> ExitCode {
        output::note(&format!("error: {}", self.0));
        ExitCode::FAILURE
    }
}

impl<E: Error> From<E> for Failure {
    fn from(error: E) -> Self {
        Self(with_causes(&error))
    }
}
