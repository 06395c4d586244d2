//! Which pages of browsers may ask a service.

use std::time::Duration;

use super::{Pattern, check};
use crate::finding::Findings;
use crate::yaml::FieldPath;

/// Which pages of browsers may ask, and how.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Cors {
    pub(crate) origins: Vec<Pattern>,
    pub(crate) methods: Vec<String>,
    pub(crate) headers: Vec<String>,
    /// Headers of responses that the page may read.
    pub(crate) exposed: Vec<String>,
    /// How long a browser keeps the answer.
    pub(crate) max_age: Option<Duration>,
    /// `None`: nothing is said of credentials, and the page gets none.
    pub(crate) credentials: Option<bool>,
    /// Whether a preflight request of another origin goes to the service.
    pub(crate) forwards_unmatched: Option<bool>,
}

/// Checks names of methods or headers; `*` stands for all of them.
pub(super) fn check_tokens(names: &[String], path: &FieldPath, findings: &mut Findings) {
    for (index, name) in names.iter().enumerate() {
        if http::Method::from_bytes(name.as_bytes()).is_err() {
            findings.error(path.index(index), format!("found `{name}`, expected a name, or `*`"));
        }
    }
    check::unique(names, |index| path.index(index), findings);
}
