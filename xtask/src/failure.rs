use std::fmt;

/// Why a command failed, as shown to the user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure(String);

impl Failure {
    /// A failure with its text: what failed, and what to do.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Names what was being done when `cause` happened.
    pub fn during(doing: impl fmt::Display, cause: impl fmt::Display) -> Self {
        Self(format!("{doing}: {cause}"))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Failure {}
