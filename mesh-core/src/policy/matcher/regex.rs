//! Regular expressions over a whole string.

use ::regex::{Regex, RegexBuilder};

use crate::config::ConfigError;

/// The largest compiled program, in bytes (SEC-06).
const SIZE_LIMIT: usize = 1 << 20;

/// An RE2-like expression that must match the entire text (RV-07). Linear time.
#[derive(Debug, Clone)]
pub struct FullRegex {
    pattern: String,
    compiled: Regex,
}

impl FullRegex {
    /// Compiles `pattern` alone first, then anchored: alone, `a)|(b` does not compile, anchored it would.
    ///
    /// # Errors
    /// [`ConfigError::InvalidRegex`] when it does not compile or the program exceeds 1 MiB.
    pub fn new(pattern: &str) -> Result<Self, ConfigError> {
        let compile = |text: &str| RegexBuilder::new(text).size_limit(SIZE_LIMIT).build();
        compile(pattern)
            .and_then(|_| compile(&format!("^(?:{pattern})$")))
            .map(|compiled| Self { pattern: pattern.to_owned(), compiled })
            .map_err(|error| ConfigError::InvalidRegex {
                pattern: pattern.to_owned(),
                reason: error.to_string().lines().last().unwrap_or_default().trim().to_owned(),
            })
    }

    /// Whether all of `text` matches.
    pub fn matches(&self, text: &str) -> bool {
        self.compiled.is_match(text)
    }

    /// The pattern as configured.
    pub fn as_str(&self) -> &str {
        &self.pattern
    }
}

impl PartialEq for FullRegex {
    fn eq(&self, other: &Self) -> bool {
        self.pattern == other.pattern
    }
}

impl Eq for FullRegex {}
