//! The header modifiers of routes.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::MOST;
use crate::finding::Findings;
use crate::kinds::check;
use crate::kinds::header_changes::{HeaderEdits, check_name, check_unique, check_value};
use crate::yaml::FieldPath;

/// Changes of the headers of one direction.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(default)]
pub(super) struct HeaderModifier {
    set: Vec<Header>,
    add: Vec<Header>,
    remove: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
struct Header {
    name: String,
    value: String,
}

impl HeaderModifier {
    pub(super) fn check(&self, path: &FieldPath, findings: &mut Findings) {
        for (field, headers) in [("set", &self.set), ("add", &self.add)] {
            let path = path.field(field);
            check::length(headers.len(), MOST, &path, findings);
            let mut seen = BTreeSet::new();
            for (index, header) in headers.iter().enumerate() {
                let path = path.index(index);
                check_name(&header.name, &path.field("name"), findings);
                check_value(&header.name, &header.value, &path.field("value"), findings);
                if !seen.insert(header.name.to_ascii_lowercase()) {
                    let message = format!("ignored: `{}` stands further up already", header.name);
                    findings.warning(path.field("name"), message);
                }
            }
        }
        let path = path.field("remove");
        check::length(self.remove.len(), MOST, &path, findings);
        for (index, name) in self.remove.iter().enumerate() {
            check_name(name, &path.index(index), findings);
        }
        check_unique(&self.remove, |index| path.index(index), findings);
    }

    pub(super) fn edits(&self) -> HeaderEdits {
        HeaderEdits::new(first_of_each(&self.set), first_of_each(&self.add), self.remove.iter().cloned())
    }
}

/// The Gateway API's rule for a name that occurs twice, whatever its case: the first one counts.
fn first_of_each(headers: &[Header]) -> Vec<(String, String)> {
    let mut seen = BTreeSet::new();
    let first = headers.iter().filter(|header| seen.insert(header.name.to_ascii_lowercase()));
    first.map(|header| (header.name.clone(), header.value.clone())).collect()
}
