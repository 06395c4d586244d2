//! Fields that are accepted without effect, as a table: each is reported.

use crate::finding::{Finding, Findings};
use crate::state::ClientFamily;
use crate::yaml::{FieldPath, Node, Value};

/// A field and its effect.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Effect {
    /// Its path in the spec; `[]` stands for every item of a list.
    pub(crate) field: &'static str,
    /// The text of the warning.
    pub(crate) message: &'static str,
    /// The clients without the effect; empty: all.
    pub(crate) clients: &'static [ClientFamily],
}

/// Warns of every field of `spec` that the table names and that is set.
pub(crate) fn warn(table: &[Effect], spec: &Node, findings: &mut Findings) {
    warn_at(table, spec, &FieldPath::spec(), findings);
}

/// The same for a part of a spec at `path`.
pub(crate) fn warn_at(table: &[Effect], part: &Node, path: &FieldPath, findings: &mut Findings) {
    for effect in table {
        let steps: Vec<&str> = effect.field.split('.').collect();
        walk(part, &steps, path, effect, findings);
    }
}

fn walk(node: &Node, steps: &[&str], path: &FieldPath, effect: &Effect, findings: &mut Findings) {
    let Some((step, rest)) = steps.split_first() else {
        if node.value != Value::Null {
            findings.push(Finding::warning(path.clone(), effect.message).of_clients(effect.clients));
        }
        return;
    };
    let name = step.trim_end_matches("[]");
    let Some(child) = node.field(name) else { return };
    let path = path.key(name);
    match (&child.value, step.ends_with("[]")) {
        (Value::Sequence(items), true) => {
            for (index, item) in items.iter().enumerate() {
                walk(item, rest, &path.index(index), effect, findings);
            }
        }
        (_, true) => {}
        (_, false) => walk(child, rest, &path, effect, findings),
    }
}
