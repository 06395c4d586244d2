//! Diagnostics of objects, found by the model.

use crate::finding::Finding;
use crate::kinds::Object;
use crate::state::{Code, Diagnostic};
use crate::yaml::FieldPath;

/// The diagnostics so far.
#[derive(Debug, Default)]
pub(super) struct Report {
    pub(super) diagnostics: Vec<Diagnostic>,
}

impl Report {
    /// Something that the object refers to is missing.
    pub(super) fn unresolved(&mut self, object: &Object, path: FieldPath, message: impl Into<String>) {
        let finding = Finding::error(path, message).code(Code::UnresolvedReference);
        self.diagnostics.push(object.diagnostic(&finding));
    }

    /// Another object has taken the place of this one, or of a part of it.
    pub(super) fn conflict(&mut self, object: &Object, path: FieldPath, message: impl Into<String>) {
        self.diagnostics.push(object.diagnostic(&Finding::warning(path, message).code(Code::Conflicted)));
    }

    pub(super) fn error(&mut self, object: &Object, path: FieldPath, message: impl Into<String>) {
        self.diagnostics.push(object.diagnostic(&Finding::error(path, message)));
    }

    pub(super) fn warning(&mut self, object: &Object, path: FieldPath, message: impl Into<String>) {
        self.diagnostics.push(object.diagnostic(&Finding::warning(path, message)));
    }
}
