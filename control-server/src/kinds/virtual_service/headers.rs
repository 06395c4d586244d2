//! Header changes of a `VirtualService`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::finding::Findings;
use crate::kinds::header_changes::{HeaderChanges, HeaderEdits, check_name, check_unique, check_value};
use crate::yaml::FieldPath;

/// The header changes of a rule or a destination.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(default)]
pub(crate) struct Headers {
    request: HeaderOperations,
    response: HeaderOperations,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(default)]
struct HeaderOperations {
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    set: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    add: BTreeMap<String, String>,
    remove: Vec<String>,
}

impl Headers {
    pub(super) fn check(&self, path: &FieldPath, findings: &mut Findings) {
        let is_authority = |name: &str| name.eq_ignore_ascii_case(AUTHORITY);
        self.request.check(is_authority, &path.field("request"), findings);
        self.response.check(|_| false, &path.field("response"), findings);
    }

    pub(crate) fn changes(&self) -> HeaderChanges {
        HeaderChanges { request: self.request.edits(), response: self.response.edits() }
    }
}

impl HeaderOperations {
    /// `rewrites` tells names that Istio takes for a rewrite.
    fn check(&self, rewrites: impl Fn(&str) -> bool, path: &FieldPath, findings: &mut Findings) {
        for (field, headers) in [("set", &self.set), ("add", &self.add)] {
            let path = path.field(field);
            for (name, value) in headers {
                let path = path.key(name);
                if rewrites(name) {
                    findings.warning(path, "ignored, as `rewrite` is: the authority stays as it is");
                    continue;
                }
                check_name(name, &path, findings);
                match unescape(value) {
                    Some(value) => check_value(name, &value, &path, findings),
                    None => findings.error(path, NO_VARIABLES),
                }
            }
            let names: Vec<&String> = headers.keys().collect();
            check_unique(names.iter().copied(), |index| path.key(names[index]), findings);
        }
        for (index, name) in self.remove.iter().enumerate() {
            check_name(name, &path.field("remove").index(index), findings);
        }
    }

    fn edits(&self) -> HeaderEdits {
        HeaderEdits::new(literal(&self.set), literal(&self.add), self.remove.iter().cloned())
    }
}

/// Headers with the values that are sent; without a rewrite of the authority.
fn literal(headers: &BTreeMap<String, String>) -> impl Iterator<Item = (String, String)> {
    let ordinary = headers.iter().filter(|(name, _)| !name.eq_ignore_ascii_case(AUTHORITY));
    ordinary.filter_map(|(name, value)| Some((name.clone(), unescape(value)?)))
}

/// Istio's values are Envoy's templates, where `%%` is a percent sign and `%NAME%` a variable; `None` if there is one.
fn unescape(value: &str) -> Option<String> {
    let literal = value.replace("%%", "");
    (!literal.contains('%')).then(|| value.replace("%%", "%"))
}

const AUTHORITY: &str = ":authority";
const NO_VARIABLES: &str =
    "found a variable of Envoy, which other clients do not know; for a percent sign, write `%%`";
