//! The configuration in use, and how changes of the sources change it. Pure.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::summary::Summary;
use crate::model::{Model, OnInvalid, Settings};
use crate::places::Places;
use crate::resources::{ResourceSet, Table};
use crate::source::{Change, Changes, Sourced};
use crate::state::{Diagnostic, List, ObjectStatus, PipelineState, Severity};
use crate::translate::{LoadReporting, Translator};

/// Turns changes into resources, each time a revision. The cost of a change is that of what depends on it.
#[derive(Debug, Default)]
pub(super) struct Engine {
    model: Model,
    translator: Translator,
    /// By identity, for the state.
    objects: Table<Sourced>,
    findings: Findings,
    resources: Arc<ResourceSet>,
    state: Arc<PipelineState>,
    /// An object of this name makes the engine panic.
    #[cfg(test)]
    pub(super) poison: Option<&'static str>,
}

/// Everything that is wrong, by who found it. Cheap to clone.
#[derive(Debug, Clone, Default)]
struct Findings {
    sources: Arc<[Diagnostic]>,
    model: Table<Arc<[Diagnostic]>>,
    translation: Arc<[Diagnostic]>,
}

/// What a change has changed.
#[derive(Debug, Default)]
pub(super) struct Applied {
    /// The resources are others.
    pub(super) has_changed: bool,
    pub(super) summary: Summary,
    /// Diagnostics that were not there before.
    pub(super) appeared: Vec<Diagnostic>,
    /// Diagnostics that are there no more.
    pub(super) cleared: Vec<Diagnostic>,
}

impl Engine {
    pub(super) fn new(settings: Settings, load_reporting: LoadReporting) -> Self {
        Self { model: Model::new(settings), translator: Translator::new(load_reporting), ..Self::default() }
    }

    pub(super) fn resources(&self) -> &Arc<ResourceSet> {
        &self.resources
    }

    /// Whether calls fail that an unreadable object may be about.
    pub(super) fn on_invalid(&self) -> OnInvalid {
        self.model.settings().on_invalid
    }

    pub(super) fn state(&self) -> &Arc<PipelineState> {
        &self.state
    }

    /// Takes changes.
    pub(super) fn apply(&mut self, changes: Changes) -> Applied {
        let summary = Summary::of(&changes.objects, &self.objects);
        for change in &changes.objects {
            match change {
                Change::Upsert(one) | Change::Moved(one) => {
                    self.objects.insert(one.object.id.to_string().into(), one.clone());
                }
                Change::Refused(refused) => drop(self.objects.remove(&refused.id.to_string())),
                Change::Delete(id) => drop(self.objects.remove(&id.to_string())),
            }
        }
        #[cfg(test)]
        assert!(
            self.objects.iter().all(|(_, one)| Some(one.object.id.name.as_str()) != self.poison),
            "poisoned"
        );
        let passed_over = changes.passed_over;
        self.translator.translate(self.model.apply(changes.objects));
        let mut resources = self.translator.resources().clone();
        let has_changed = !self.state.synced || !resources.is_same(&self.resources);
        if has_changed {
            resources.revision = self.resources.revision + 1;
            self.resources = Arc::new(resources);
        }
        let findings = Findings {
            sources: changes.diagnostics,
            model: self.model.diagnostics().clone(),
            translation: self.translator.diagnostics(&self.model).into(),
        };
        let (appeared, cleared) = findings.changes_since(&self.findings);
        self.findings = findings.clone();
        let (objects, count) = (self.objects.clone(), self.objects.len());
        let places = Places::new(objects.clone());
        self.state = Arc::new(PipelineState {
            synced: true,
            revision: self.resources.revision,
            objects: List::lazy(move || statuses(&objects)).with_count(count),
            diagnostics: List::lazy(move || findings.sorted()),
            passed_over,
            not_kept: Vec::new(),
            blocked_by: Vec::new(),
            waiting: None,
            failed: None,
            places,
        });
        Applied { has_changed, summary, appeared, cleared }
    }

    /// The files of which something is refused. What an object refers to may be missing without that.
    pub(super) fn broken_files(&self) -> BTreeSet<String> {
        let refused = self.findings.sources.iter().chain(self.findings.translation.iter());
        let errors = refused.filter(|found| found.severity == Severity::Error);
        errors.map(|found| found.file.clone()).collect()
    }
}

fn statuses(objects: &Table<Sourced>) -> Vec<ObjectStatus> {
    let mut all: Vec<&Sourced> = objects.iter().map(|(_, one)| one).collect();
    all.sort_by(|left, right| left.object.id.cmp(&right.object.id));
    all.into_iter().map(|one| one.object.status(one.stale)).collect()
}

impl Findings {
    fn iter(&self) -> impl Iterator<Item = &Diagnostic> {
        let model = self.model.iter().flat_map(|(_, found)| found.iter());
        self.sources.iter().chain(model).chain(self.translation.iter())
    }

    /// By place, each once.
    fn sorted(&self) -> Vec<Diagnostic> {
        let mut all: Vec<Diagnostic> = self.iter().cloned().collect();
        all.sort_by(|left, right| key(left).cmp(&key(right)));
        all.dedup();
        all
    }

    /// What has appeared and what has cleared; looks only at what differs.
    fn changes_since(&self, before: &Self) -> (Vec<Diagnostic>, Vec<Diagnostic>) {
        let (mut old, mut new): (Vec<&Diagnostic>, Vec<&Diagnostic>) = (Vec::new(), Vec::new());
        for (one, other) in [(&before.sources, &self.sources), (&before.translation, &self.translation)] {
            if !Arc::ptr_eq(one, other) {
                old.extend(one.iter());
                new.extend(other.iter());
            }
        }
        self.model.changes_since(&before.model, |unit| {
            old.extend(before.model.get(unit).into_iter().flat_map(|found| found.iter()));
            new.extend(self.model.get(unit).into_iter().flat_map(|found| found.iter()));
        });
        let texts =
            |all: &[&Diagnostic]| -> BTreeSet<String> { all.iter().map(ToString::to_string).collect() };
        let (known, current) = (texts(&old), texts(&new));
        let fresh = |all: Vec<&Diagnostic>, known: &BTreeSet<String>| {
            let mut fresh: Vec<Diagnostic> =
                all.into_iter().filter(|one| !known.contains(&one.to_string())).cloned().collect();
            fresh.sort_by(|left, right| key(left).cmp(&key(right)));
            fresh.dedup();
            fresh
        };
        (fresh(new, &known), fresh(old, &current))
    }
}

fn key(one: &Diagnostic) -> (&str, u32, u32, &str, &str) {
    (&one.file, one.line, one.column, &one.field, &one.message)
}
