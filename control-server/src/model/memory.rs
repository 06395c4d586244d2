//! Last good objects.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::made::Made;
use super::report::Report;
use crate::finding::Findings;
use crate::kinds::destination_rule::Subset;
use crate::kinds::{Object, ObjectId};
use crate::source::Sourced;

/// The objects that were in use before this change, and the subsets they had.
#[derive(Debug, Clone, Default)]
pub(crate) struct Memory {
    pub(super) accepted: BTreeMap<ObjectId, Arc<Object>>,
    /// By host and name. A subset that routes still name outlives its definition.
    pub(super) subsets: BTreeMap<(String, String), Subset>,
    /// Results that were built from objects that may be unchanged, by host.
    pub(super) made: BTreeMap<String, Made>,
}

impl Memory {
    /// The version of an object that is used: itself if it has no error, else the version that was used before; that one is
    /// used even if its references do not exist any more, because dropping it would change where calls go.
    pub(super) fn choose(&self, one: &Sourced, findings: &Findings, report: &mut Report) -> Option<Sourced> {
        report.add(&one.object, findings);
        if !findings.has_errors() {
            return Some(one.clone());
        }
        let previous = self.accepted.get(&one.object.id)?;
        Some(Sourced { object: Arc::clone(previous), stale: true })
    }
}
