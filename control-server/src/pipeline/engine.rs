//! What is in use, and how a new view of the source changes it. Pure.

use std::collections::HashSet;
use std::sync::Arc;

use crate::model::{self, Memory};
use crate::resources::ResourceSet;
use crate::source::View;
use crate::state::{Diagnostic, PipelineState};
use crate::translate::{Resources, Translator};

/// Turns views into resources, each change a revision.
#[derive(Debug, Default)]
pub(super) struct Engine {
    memory: Memory,
    translator: Translator,
    resources: Arc<ResourceSet>,
    state: Arc<PipelineState>,
}

impl Engine {
    pub(super) fn resources(&self) -> &Arc<ResourceSet> {
        &self.resources
    }

    pub(super) fn state(&self) -> &Arc<PipelineState> {
        &self.state
    }

    /// Takes over a view; says whether the resources are others now.
    pub(super) fn apply(&mut self, view: &View) -> bool {
        let model = model::build(&view.objects, &mut self.memory);
        let (resources, found) = self.translator.translate(&model);
        let changed = !self.state.synced || !is_same(&resources, &self.resources.resources);
        if changed {
            let revision = self.resources.revision + 1;
            self.resources = Arc::new(ResourceSet { revision, resources });
        }
        let diagnostics = view.diagnostics.iter().chain(&model.diagnostics).chain(&found).cloned();
        self.state = Arc::new(PipelineState {
            synced: true,
            revision: self.resources.revision,
            objects: model.objects.iter().map(|one| one.object.status(one.stale)).collect(),
            diagnostics: sorted(diagnostics.collect()),
        });
        changed
    }
}

fn is_same(left: &Resources, right: &Resources) -> bool {
    left.len() == right.len()
        && left
            .iter()
            .zip(right)
            .all(|(left, right)| left.0 == right.0 && (Arc::ptr_eq(left.1, right.1) || left.1 == right.1))
}

/// By place, each once.
fn sorted(mut diagnostics: Vec<Diagnostic>) -> Vec<Diagnostic> {
    let mut seen = HashSet::new();
    diagnostics.retain(|diagnostic| seen.insert(diagnostic.to_string()));
    diagnostics.sort_by(|left, right| {
        let key = |one: &Diagnostic| {
            (one.file.clone(), one.line, one.column, one.field.clone(), one.message.clone())
        };
        key(left).cmp(&key(right))
    });
    diagnostics
}
