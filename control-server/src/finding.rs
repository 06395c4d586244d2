//! What a stage found wrong with an object: a field's path and a message, not yet a place in a file.

use crate::state::Severity;
use crate::yaml::{FieldPath, Position};

/// An error in an object, or a part of it that will not work as written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Finding {
    pub(crate) severity: Severity,
    pub(crate) path: FieldPath,
    /// Where it stands, if that is not where the path leads.
    pub(crate) at: Option<Position>,
    pub(crate) message: String,
}

impl Finding {
    pub(crate) fn error(path: FieldPath, message: impl Into<String>) -> Self {
        Self { severity: Severity::Error, path, at: None, message: message.into() }
    }

    pub(crate) fn warning(path: FieldPath, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, path, at: None, message: message.into() }
    }

    pub(crate) fn at(mut self, position: Position) -> Self {
        self.at = Some(position);
        self
    }
}

/// All findings in one object.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Findings(Vec<Finding>);

impl Findings {
    pub(crate) fn push(&mut self, finding: Finding) {
        self.0.push(finding);
    }

    pub(crate) fn error(&mut self, path: FieldPath, message: impl Into<String>) {
        self.push(Finding::error(path, message));
    }

    pub(crate) fn warning(&mut self, path: FieldPath, message: impl Into<String>) {
        self.push(Finding::warning(path, message));
    }

    pub(crate) fn has_errors(&self) -> bool {
        self.0.iter().any(|finding| finding.severity == Severity::Error)
    }

    pub(crate) fn iter(&self) -> std::slice::Iter<'_, Finding> {
        self.0.iter()
    }
}

impl IntoIterator for Findings {
    type Item = Finding;
    type IntoIter = std::vec::IntoIter<Finding>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}
