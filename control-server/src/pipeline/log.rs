//! Diagnostics on the log: once when one appears, once when it clears.

use super::engine::Applied;
use super::summary::{Objects, Summary};
use crate::state::{Diagnostic, PipelineState, Severity, WaitingChange};

/// Logs what a change has changed.
pub(super) fn changes(applied: &Applied, before: &PipelineState, after: &PipelineState) {
    all_appeared(applied.appeared.iter());
    for diagnostic in applied.cleared.iter().take(MOST_LINES) {
        tracing::info!("cleared: {diagnostic}");
    }
    if let Some(more) = applied.cleared.len().checked_sub(MOST_LINES).filter(|more| *more > 0) {
        tracing::info!(more, "more diagnostics are cleared");
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
    let Summary { added, changed, removed } = &applied.summary;
    let told = |objects: &'_ Objects| objects.told().map(ToString::to_string);
    let (added, changed, removed) = (told(added), told(changed), told(removed));
    let (added, changed, removed) = (added.as_deref(), changed.as_deref(), removed.as_deref());
    let (objects, passed_over) = (after.objects.count(), after.passed_over);
    if before.revision != after.revision {
        let revision = after.revision;
        tracing::info!(revision, objects, passed_over, added, changed, removed, "configuration has changed");
    } else if added.or(changed).or(removed).is_some() {
        tracing::info!(
            added,
            changed,
            removed,
            "configuration has changed, and nothing that clients are sent"
        );
    }
}

/// Logs that the first configuration waits for files that can be read.
pub(super) fn held_back(before: &PipelineState, after: &PipelineState) {
    all_appeared(after.diagnostics.iter().filter(|one| !before.diagnostics.contains(one)));
    if before.blocked_by != after.blocked_by {
        let files = after.blocked_by.join(", ");
        tracing::error!(
            files,
            "nothing is served: these files cannot be read, no earlier version is known, and they may restrict calls; \
             `--on-invalid default-route` serves without them"
        );
    }
}

/// The first diagnostics, and how many more there are.
fn all_appeared<'d>(mut diagnostics: impl Iterator<Item = &'d Diagnostic>) {
    diagnostics.by_ref().take(MOST_LINES).for_each(appeared);
    let more = diagnostics.count();
    if more > 0 {
        tracing::warn!(more, "more diagnostics; `meshctl status` and GET /v1/config list all of them");
    }
}

fn appeared(diagnostic: &Diagnostic) {
    match diagnostic.severity {
        Severity::Error => tracing::error!("{diagnostic}"),
        Severity::Warning => tracing::warn!("{diagnostic}"),
        Severity::Info => tracing::info!("{diagnostic}"),
    }
}

/// Of one change.
const MOST_LINES: usize = 50;
