//! Matches of headers and query parameters.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::MOST;
use crate::finding::Findings;
use crate::kinds::{Pattern, check};
use crate::yaml::FieldPath;

/// A header or a query parameter, and its value.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub(crate) struct ValueMatch {
    #[serde(default)]
    r#type: MatchType,
    pub(crate) name: String,
    value: String,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub(crate) enum MatchType {
    #[default]
    Exact,
    RegularExpression,
}

impl ValueMatch {
    pub(crate) fn pattern(&self) -> Pattern {
        match self.r#type {
            MatchType::Exact => Pattern::Exact(self.value.clone()),
            MatchType::RegularExpression => Pattern::Regex(self.value.clone()),
        }
    }

    fn check_value(&self, path: &FieldPath, findings: &mut Findings) {
        if self.value.is_empty() {
            findings.error(path.field("value"), "found an empty text, expected a value");
        }
        if self.r#type == MatchType::RegularExpression {
            check::regex(&self.value, &path.field("value"), findings);
        }
    }
}

/// Checks the headers of a match.
pub(in crate::kinds) fn check_headers(headers: &[ValueMatch], path: &FieldPath, findings: &mut Findings) {
    check::length(headers.len(), MOST, path, findings);
    for (index, header) in headers.iter().enumerate() {
        let path = path.index(index);
        check::header_name(&header.name, &path.field("name"), findings);
        header.check_value(&path, findings);
    }
    let names = headers.iter().map(|header| header.name.to_ascii_lowercase());
    check::unique(names, |index| path.index(index).field("name"), findings);
}

/// Checks the query parameters of a match; their names count as they are written.
pub(in crate::kinds) fn check_query(parameters: &[ValueMatch], path: &FieldPath, findings: &mut Findings) {
    check::length(parameters.len(), MOST, path, findings);
    for (index, parameter) in parameters.iter().enumerate() {
        let path = path.index(index);
        if http::HeaderName::from_bytes(parameter.name.as_bytes()).is_err() {
            let message = format!("found `{}`, expected the name of a query parameter", parameter.name);
            findings.error(path.field("name"), message);
        }
        parameter.check_value(&path, findings);
    }
    let names = parameters.iter().map(|parameter| &parameter.name);
    check::unique(names, |index| path.index(index).field("name"), findings);
}
