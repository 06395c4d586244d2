//! Builds units again: a part of them at a time, on all cores.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use super::index::{Hints, Reader};
use super::report::Report;
use super::units::Unit;
use super::{Model, Rebuilt, check, servers, service};
use crate::parallel;
use crate::state::Diagnostic;

/// The units that a change affects, each built when it is asked for.
pub(super) struct Rebuilding<'m> {
    model: &'m mut Model,
    units: Vec<Unit>,
    /// How many units have been built.
    next: usize,
    /// Built, and not asked for yet.
    ready: VecDeque<Rebuilt>,
    hints: Hints,
}

/// What a unit has become.
struct Built {
    /// Nothing declares the unit any more.
    is_gone: bool,
    /// `None`: the unit has findings only.
    rebuilt: Option<Rebuilt>,
    /// The keys that were looked up.
    reads: Vec<u64>,
    diagnostics: Vec<Diagnostic>,
    /// A finding has no hint for want of one.
    lacks_hints: bool,
}

impl<'m> Rebuilding<'m> {
    pub(super) fn new(model: &'m mut Model, units: BTreeSet<Unit>) -> Self {
        let units = units.into_iter().collect();
        Self { model, units, next: 0, ready: VecDeque::new(), hints: Hints::default() }
    }

    fn build_part(&mut self) {
        let end = self.units.len().min(self.next + AT_ONCE);
        let part = &self.units[self.next..end];
        let model: &Model = self.model;
        // The first units in order get the hints, whichever thread is faster.
        let mut built = parallel::map(part, |unit| model.build(unit, &Hints::none()));
        for (unit, one) in part.iter().zip(&mut built) {
            if one.lacks_hints && self.hints.are_left() {
                *one = model.build(unit, &self.hints);
            }
        }
        for (unit, one) in part.iter().zip(built) {
            self.ready.extend(self.model.record(unit, one));
        }
        self.next = end;
    }
}

impl Iterator for Rebuilding<'_> {
    type Item = Rebuilt;

    fn next(&mut self) -> Option<Rebuilt> {
        while self.ready.is_empty() && self.next < self.units.len() {
            self.build_part();
        }
        self.ready.pop_front()
    }
}

impl Model {
    fn build(&self, unit: &Unit, hints: &Hints) -> Built {
        let reader = Reader::new(&self.index, hints);
        let mut report = Report::default();
        let (is_gone, rebuilt) = match unit {
            Unit::Service(host) => {
                let service = service::build(host, &reader, &self.settings, &mut report);
                (service.is_none(), Some(Rebuilt::Service { host: Arc::clone(host), service }))
            }
            Unit::Servers(namespace) => {
                let policies = servers::build(namespace, &reader, &self.settings);
                (policies.is_none(), Some(Rebuilt::Servers { namespace: Arc::clone(namespace), policies }))
            }
            Unit::Object(id) => {
                let object = self.index.get(id);
                if let Some(one) = object {
                    check::object(&one.object, &reader, &self.settings, &mut report);
                }
                (object.is_none(), None)
            }
        };
        let lacks_hints = reader.lacks_hints();
        Built { is_gone, rebuilt, reads: reader.into_reads(), diagnostics: report.diagnostics, lacks_hints }
    }

    /// Keeps what a unit depends on and what was found; returns what it has become.
    fn record(&mut self, unit: &Unit, built: Built) -> Option<Rebuilt> {
        let reads = if built.is_gone { Vec::new() } else { built.reads };
        self.units.record(unit, reads);
        if built.diagnostics.is_empty() {
            self.diagnostics.remove(&unit.to_string());
        } else {
            self.diagnostics.insert(unit.to_string().into(), built.diagnostics.into());
        }
        built.rebuilt
    }
}

/// How many units are built before the first of them is handed on: enough for all cores, and few at once in memory.
const AT_ONCE: usize = 256;
