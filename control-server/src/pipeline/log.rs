//! Diagnostics on the log: once when one appears, once when it clears.

use std::collections::HashSet;

use crate::state::{Diagnostic, PipelineState, Severity, WaitingChange};

/// Logs the differences between two states.
pub(super) fn changes(before: &PipelineState, after: &PipelineState) {
    let known = texts(&before.diagnostics);
    for diagnostic in after.diagnostics.iter().filter(|one| !known.contains(&one.to_string())) {
        match diagnostic.severity {
            Severity::Error => tracing::error!("{diagnostic}"),
            Severity::Warning => tracing::warn!("{diagnostic}"),
            Severity::Info => tracing::info!("{diagnostic}"),
        }
    }
    let current = texts(&after.diagnostics);
    for diagnostic in before.diagnostics.iter().filter(|one| !current.contains(&one.to_string())) {
        tracing::info!("cleared: {diagnostic}");
    }
    for file in after.not_kept.iter().filter(|file| !before.not_kept.contains(file)) {
        tracing::warn!(file, "has errors and no earlier version: nothing of it is kept for the next start");
    }
    match &after.waiting {
        Some(WaitingChange { id, objects, reasons }) if before.waiting != after.waiting => {
            let removes = reasons.join("; ");
            tracing::warn!(
                id,
                objects,
                removes,
                "a change waits: it removes much; `meshctl approve` lets it take effect"
            );
        }
        None if before.waiting.is_some() => tracing::info!("no change waits any more"),
        _ => {}
    }
    if before.revision != after.revision {
        let PipelineState { revision, passed_over, .. } = *after;
        let objects = after.objects.len();
        tracing::info!(revision, objects, passed_over, "configuration has changed");
    }
}

fn texts(diagnostics: &[Diagnostic]) -> HashSet<String> {
    diagnostics.iter().map(ToString::to_string).collect()
}
