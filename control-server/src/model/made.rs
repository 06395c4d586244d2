//! The costly part of a service, built again only if its inputs have changed.

use std::sync::Arc;

use super::cluster::{Cluster, clusters};
use super::endpoints::Workloads;
use super::registry::Declaration;
use super::report::Report;
use super::rules::Rule;
use crate::kinds::Object;
use crate::state::Diagnostic;

/// The clusters of a service, their inputs, and the findings about them.
#[derive(Debug, Clone)]
pub(crate) struct Made {
    declaration: Declaration,
    rule: Option<Rule>,
    selected: Vec<Arc<Object>>,
    clusters: Arc<[Cluster]>,
    diagnostics: Vec<Diagnostic>,
}

impl Made {
    /// Takes the earlier result, if its inputs were the same.
    pub(super) fn new(
        host: &str,
        declaration: &Declaration,
        rule: Option<&Rule>,
        selected: Vec<Arc<Object>>,
        before: Option<Self>,
    ) -> Self {
        if let Some(before) = before.filter(|before| before.is_from(declaration, rule, &selected)) {
            return before;
        }
        let mut report = Report::default();
        let workloads = Workloads::new(declaration, &selected, &mut report);
        let clusters = clusters(host, declaration, rule, &workloads, &mut report).into();
        let (declaration, rule) = (declaration.clone(), rule.cloned());
        Self { declaration, rule, selected, clusters, diagnostics: report.diagnostics }
    }

    fn is_from(&self, declaration: &Declaration, rule: Option<&Rule>, selected: &[Arc<Object>]) -> bool {
        let is_ruled_alike = match (&self.rule, rule) {
            (Some(one), Some(other)) => one.is(other),
            (one, other) => one.is_none() && other.is_none(),
        };
        is_ruled_alike
            && self.declaration.is(declaration)
            && self.selected.len() == selected.len()
            && self.selected.iter().zip(selected).all(|(one, other)| Arc::ptr_eq(one, other))
    }

    pub(super) fn clusters(&self) -> &Arc<[Cluster]> {
        &self.clusters
    }

    pub(super) fn diagnostics(&self) -> &[Diagnostic] {
        &self.diagnostics
    }
}
