//! Diagnostics on the log: once when one appears, once when it clears.

use std::collections::HashSet;

use crate::state::{Diagnostic, PipelineState, Severity};

/// Logs the differences between two states.
pub(super) fn changes(before: &PipelineState, after: &PipelineState) {
    let known = texts(&before.diagnostics);
    for diagnostic in after.diagnostics.iter().filter(|one| !known.contains(&one.to_string())) {
        match diagnostic.severity {
            Severity::Error => tracing::error!("{diagnostic}"),
            Severity::Warning => tracing::warn!("{diagnostic}"),
        }
    }
    let current = texts(&after.diagnostics);
    for diagnostic in before.diagnostics.iter().filter(|one| !current.contains(&one.to_string())) {
        tracing::info!("cleared: {diagnostic}");
    }
    if before.revision != after.revision {
        let (revision, objects) = (after.revision, after.objects.len());
        tracing::info!(revision, objects, "configuration has changed");
    }
}

fn texts(diagnostics: &[Diagnostic]) -> HashSet<String> {
    diagnostics.iter().map(ToString::to_string).collect()
}
