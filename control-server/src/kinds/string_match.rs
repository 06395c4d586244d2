//! Istio's `StringMatch`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::check;
use crate::finding::Findings;
use crate::yaml::FieldPath;

/// How a text is matched. A value is present: without any field, with an empty prefix, or with the regular expression `*`, which
/// is none, and Istio's word for it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(default)]
pub(crate) struct StringMatch {
    exact: Option<String>,
    prefix: Option<String>,
    regex: Option<String>,
}

/// The meaning of a [`StringMatch`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Pattern {
    /// There is a value.
    Present,
    /// Exactly this text.
    Exact(String),
    /// A text with this prefix.
    Prefix(String),
    /// A text that matches as a whole.
    Regex(String),
}

impl StringMatch {
    /// Requires at most one way to match, with a valid pattern.
    pub(crate) fn check(&self, path: &FieldPath, findings: &mut Findings) {
        let set = [self.exact.is_some(), self.prefix.is_some(), self.regex.is_some()];
        if set.into_iter().filter(|set| *set).count() > 1 {
            findings.error(path.clone(), "found several of exact, prefix and regex, expected one");
        }
        if let Some(regex) = self.regex.as_ref().filter(|regex| *regex != ANYTHING) {
            check::regex(regex, &path.field("regex"), findings);
        }
    }

    /// Its meaning. Of several fields, the first that is set; [`Self::check`] refuses those.
    pub(crate) fn pattern(&self) -> Pattern {
        match self {
            Self { exact: Some(text), .. } => Pattern::Exact(text.clone()),
            Self { prefix: Some(text), .. } if !text.is_empty() => Pattern::Prefix(text.clone()),
            Self { prefix: None, regex: Some(text), .. } if text != ANYTHING => Pattern::Regex(text.clone()),
            Self { exact: None, .. } => Pattern::Present,
        }
    }
}

const ANYTHING: &str = "*";
