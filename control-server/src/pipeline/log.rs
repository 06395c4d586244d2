//! Diagnostics on the log: once when one appears, once when it clears.

use super::engine::Applied;
use crate::state::{Diagnostic, PipelineState, Severity, WaitingChange};

/// Logs what a change has changed.
pub(super) fn changes(applied: &Applied, before: &PipelineState, after: &PipelineState) {
    applied.appeared.iter().for_each(appeared);
    for diagnostic in &applied.cleared {
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
        tracing::info!(revision, passed_over, "configuration has changed");
    }
}

/// Logs that the first configuration waits for files that can be read.
pub(super) fn held_back(before: &PipelineState, after: &PipelineState) {
    after.diagnostics.iter().filter(|one| !before.diagnostics.contains(one)).for_each(appeared);
    if before.blocked_by != after.blocked_by {
        let files = after.blocked_by.join(", ");
        tracing::error!(
            files,
            "nothing is served: these files cannot be read, no earlier version is known, and they may restrict calls; \
             `--on-invalid default-route` serves without them"
        );
    }
}

fn appeared(diagnostic: &Diagnostic) {
    match diagnostic.severity {
        Severity::Error => tracing::error!("{diagnostic}"),
        Severity::Warning => tracing::warn!("{diagnostic}"),
        Severity::Info => tracing::info!("{diagnostic}"),
    }
}
