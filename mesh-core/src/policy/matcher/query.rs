//! Conditions on the query of a request.

use super::StringMatcher;

/// A condition on the first parameter of a name in a request's query.
///
/// Names and values are compared as they are on the wire: percent-encoding stays, as in Envoy.
// RT-17
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct QueryMatcher {
    /// The parameter's name; its case matters.
    pub name: String,
    /// What the value has to match, which is empty for a parameter without `=`; `None`: any value does.
    pub value: Option<StringMatcher>,
}

impl QueryMatcher {
    /// Requests with this parameter, and a value that matches.
    pub fn new(name: impl Into<String>, value: Option<StringMatcher>) -> Self {
        Self { name: name.into(), value }
    }

    /// Whether a query, which is without its `?`, matches. Allocates nothing.
    pub fn matches(&self, query: &str) -> bool {
        let mut parameters = query.split('&').map(|text| text.split_once('=').unwrap_or((text, "")));
        let first = parameters.find(|(name, _)| *name == self.name);
        first.is_some_and(|(_, value)| self.value.as_ref().is_none_or(|matcher| matcher.matches(value)))
    }
}
