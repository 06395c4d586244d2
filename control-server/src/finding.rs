//! What a stage found about an object: a code, a field's path and a message, not yet a place in a file.

use crate::state::{ClientFamily, Code, Severity};
use crate::yaml::{FieldPath, Position};

/// An error in an object, a part of it that will not work as written, or a remark.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Finding {
    pub(crate) severity: Severity,
    pub(crate) code: Code,
    pub(crate) path: FieldPath,
    /// Where it stands, if that is not where the path leads.
    pub(crate) at: Option<Position>,
    pub(crate) message: String,
    /// The clients that it is about; empty: all.
    pub(crate) clients: &'static [ClientFamily],
}

impl Finding {
    /// A value that the field cannot have, unless it gets another code.
    pub(crate) fn error(path: FieldPath, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            code: Code::InvalidValue,
            path,
            at: None,
            message: message.into(),
            clients: &[],
        }
    }

    /// Something without effect, unless it gets another code.
    pub(crate) fn warning(path: FieldPath, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, code: Code::NoEffect, ..Self::error(path, message) }
    }

    pub(crate) fn code(self, code: Code) -> Self {
        Self { code, ..self }
    }

    pub(crate) fn of_clients(self, clients: &'static [ClientFamily]) -> Self {
        Self { clients, ..self }
    }

    pub(crate) fn at(mut self, position: Position) -> Self {
        self.at = Some(position);
        self
    }
}

/// All findings in one object.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Findings {
    all: Vec<Finding>,
    /// What the regular expressions of the object cost, together.
    pub(crate) regex_cost: u64,
}

impl Findings {
    pub(crate) fn push(&mut self, finding: Finding) {
        self.all.push(finding);
    }

    pub(crate) fn error(&mut self, path: FieldPath, message: impl Into<String>) {
        self.push(Finding::error(path, message));
    }

    /// A field that is not there.
    pub(crate) fn missing(&mut self, path: FieldPath, message: impl Into<String>) {
        self.push(Finding::error(path, message).code(Code::MissingField));
    }

    /// What is legal, and what no client can do.
    pub(crate) fn unsupported(&mut self, path: FieldPath, message: impl Into<String>) {
        self.push(Finding::error(path, message).code(Code::Unsupported));
    }

    pub(crate) fn warning(&mut self, path: FieldPath, message: impl Into<String>) {
        self.push(Finding::warning(path, message));
    }

    pub(crate) fn has_errors(&self) -> bool {
        self.all.iter().any(|finding| finding.severity == Severity::Error)
    }

    pub(crate) fn iter(&self) -> std::slice::Iter<'_, Finding> {
        self.all.iter()
    }
}

impl IntoIterator for Findings {
    type Item = Finding;
    type IntoIter = std::vec::IntoIter<Finding>;

    fn into_iter(self) -> Self::IntoIter {
        self.all.into_iter()
    }
}
