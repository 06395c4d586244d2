//! The clients of a request.

use xds_proto::envoy::r#type::matcher::v3::string_matcher::MatchPattern;
use xds_proto::envoy::r#type::matcher::v3::{NodeMatcher, StringMatcher};

/// Chooses clients by the ids of their nodes.
#[derive(Debug)]
pub(super) struct Matchers(Vec<Matcher>);

#[derive(Debug)]
struct Matcher {
    pattern: Pattern,
    ignores_case: bool,
}

#[derive(Debug)]
enum Pattern {
    Exact(String),
    Prefix(String),
    Suffix(String),
    Contains(String),
}

impl Matchers {
    /// Reads matchers; a client needs to match one of them, and matches if there are none.
    ///
    /// # Errors
    /// The part that is not supported, as text for the caller.
    pub(super) fn read(matchers: Vec<NodeMatcher>) -> Result<Self, String> {
        let read = |(index, matcher)| {
            Matcher::read(matcher).map_err(|(field, reason)| {
                format!("node_matchers[{index}].{field}: {reason}; use node_id with exact, prefix, suffix or contains")
            })
        };
        matchers.into_iter().enumerate().map(read).collect::<Result<_, _>>().map(Self)
    }

    pub(super) fn matches(&self, node_id: &str) -> bool {
        self.0.is_empty() || self.0.iter().any(|matcher| matcher.matches(node_id))
    }
}

impl Matcher {
    fn read(matcher: NodeMatcher) -> Result<Self, (&'static str, &'static str)> {
        if !matcher.node_metadatas.is_empty() {
            return Err(("node_metadatas", "is not supported"));
        }
        let Some(StringMatcher { match_pattern: Some(pattern), ignore_case }) = matcher.node_id else {
            return Err(("node_id", "is missing or empty"));
        };
        let text = |text: String| if ignore_case { text.to_lowercase() } else { text };
        let pattern = match pattern {
            MatchPattern::Exact(exact) => Pattern::Exact(text(exact)),
            MatchPattern::Prefix(prefix) => Pattern::Prefix(text(prefix)),
            MatchPattern::Suffix(suffix) => Pattern::Suffix(text(suffix)),
            MatchPattern::Contains(part) => Pattern::Contains(text(part)),
            MatchPattern::SafeRegex(_) => return Err(("node_id.safe_regex", "is not supported")),
            MatchPattern::Custom(_) => return Err(("node_id.custom", "is not supported")),
        };
        Ok(Self { pattern, ignores_case: ignore_case })
    }

    fn matches(&self, node_id: &str) -> bool {
        let lower = self.ignores_case.then(|| node_id.to_lowercase());
        let node_id = lower.as_deref().unwrap_or(node_id);
        match &self.pattern {
            Pattern::Exact(exact) => node_id == exact,
            Pattern::Prefix(prefix) => node_id.starts_with(prefix.as_str()),
            Pattern::Suffix(suffix) => node_id.ends_with(suffix.as_str()),
            Pattern::Contains(part) => node_id.contains(part.as_str()),
        }
    }
}
