//! Diagnostics of objects, found by the model.

use crate::finding::{Finding, Findings};
use crate::kinds::Object;
use crate::state::Diagnostic;
use crate::yaml::FieldPath;

/// The diagnostics so far.
#[derive(Debug, Default)]
pub(super) struct Report {
    pub(super) diagnostics: Vec<Diagnostic>,
}

impl Report {
    pub(super) fn add(&mut self, object: &Object, findings: &Findings) {
        self.diagnostics.extend(findings.iter().map(|finding| object.diagnostic(finding)));
    }

    pub(super) fn error(&mut self, object: &Object, path: FieldPath, message: impl Into<String>) {
        self.diagnostics.push(object.diagnostic(&Finding::error(path, message)));
    }

    pub(super) fn warning(&mut self, object: &Object, path: FieldPath, message: impl Into<String>) {
        self.diagnostics.push(object.diagnostic(&Finding::warning(path, message)));
    }
}
