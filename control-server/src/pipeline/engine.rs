//! The configuration in use, and how changes of the sources change it. Pure.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use crate::kinds::ObjectId;
use crate::model::{self, Memory};
use crate::resources::ResourceSet;
use crate::source::{Change, Changes, Sourced};
use crate::state::{Diagnostic, PipelineState};
use crate::translate::{LoadReporting, Translator};

/// Turns changes into resources, each time a revision.
#[derive(Debug, Default)]
pub(super) struct Engine {
    objects: BTreeMap<ObjectId, Sourced>,
    memory: Memory,
    translator: Translator,
    resources: Arc<ResourceSet>,
    state: Arc<PipelineState>,
    /// An object of this name makes the engine panic.
    #[cfg(test)]
    pub(super) poison: Option<&'static str>,
}

impl Engine {
    pub(super) fn new(load_reporting: LoadReporting) -> Self {
        Self { translator: Translator::new(load_reporting), ..Self::default() }
    }

    pub(super) fn resources(&self) -> &Arc<ResourceSet> {
        &self.resources
    }

    pub(super) fn state(&self) -> &Arc<PipelineState> {
        &self.state
    }

    /// Takes changes; returns whether the resources have changed.
    pub(super) fn apply(&mut self, changes: Changes) -> bool {
        for change in changes.objects {
            match change {
                Change::Upsert(one) | Change::Moved(one) => {
                    drop(self.objects.insert(one.object.id.clone(), one));
                }
                // Without a good version it is as if it were not there.
                Change::Refused(refused) => drop(self.objects.remove(&refused.id)),
                Change::Delete(id) => drop(self.objects.remove(&id)),
            }
        }
        #[cfg(test)]
        assert!(self.objects.keys().all(|id| Some(id.name.as_str()) != self.poison), "poisoned");
        let objects: Vec<Sourced> = self.objects.values().cloned().collect();
        let model = model::build(&objects, &mut self.memory);
        let (mut resources, found) = self.translator.translate(&model);
        let changed = !self.state.synced || !resources.is_same(&self.resources);
        if changed {
            resources.revision = self.resources.revision + 1;
            self.resources = Arc::new(resources);
        }
        let diagnostics = changes.diagnostics.iter().chain(&model.diagnostics).chain(&found).cloned();
        self.state = Arc::new(PipelineState {
            synced: true,
            revision: self.resources.revision,
            objects: model.objects.iter().map(|one| one.object.status(one.stale)).collect(),
            diagnostics: sorted(diagnostics.collect()),
            passed_over: changes.passed_over,
            not_kept: Vec::new(),
            waiting: None,
            failed: None,
        });
        changed
    }
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
