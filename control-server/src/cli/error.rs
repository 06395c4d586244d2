//! A failure as the user sees it.

use std::error::Error;
use std::process::ExitCode;

use super::output;

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

/// `message: cause: cause`, without repeating a cause that the message already ends with.
pub(super) fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.ends_with(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}
