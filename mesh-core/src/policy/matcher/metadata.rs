//! What filters tell later filters about a call, and patterns over it.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use serde_json::{Map, Value};

use crate::config::Name;

use super::StringMatcher;

/// What the filters of a chain have found out about a call, by namespace: the name of the kind of filter that wrote it. The
/// claims of a token are here, for example. Cheap to clone.
///
/// It travels in the extensions of the request; a server's handler can read it there.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct DynamicMetadata(Arc<BTreeMap<Name, Map<String, Value>>>);

impl DynamicMetadata {
    /// Without any entry.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets one field of a namespace.
    pub fn insert(&mut self, namespace: &str, field: impl Into<String>, value: Value) {
        let fields = Arc::make_mut(&mut self.0).entry(namespace.into()).or_default();
        fields.insert(field.into(), value);
    }

    /// The fields of a namespace.
    pub fn namespace(&self, namespace: &str) -> Option<&Map<String, Value>> {
        self.0.get(namespace)
    }
}

/// A rule over one value of [`DynamicMetadata`].
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct MetadataMatcher {
    /// The namespace.
    pub namespace: Name,
    /// Fields from the outermost to the innermost. Each is taken literally: a dot separates nothing.
    // J7
    pub path: Vec<String>,
    /// The condition on the value.
    pub value: ValueMatcher,
    /// Negates the result, also where there is no such value.
    pub invert: bool,
}

/// A condition on a value.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum ValueMatcher {
    /// The value is null.
    Null,
    /// A number that is equal to this one.
    Number(f64),
    /// A number in this range.
    NumberRange(Range<f64>),
    /// A text.
    Text(StringMatcher),
    /// This truth value.
    Bool(bool),
    /// There is a value; `false` never matches.
    Present(bool),
    /// A list with at least one element that matches.
    OneOf(Box<Self>),
    /// At least one of these matches.
    AnyOf(Vec<Self>),
}

impl MetadataMatcher {
    /// A rule over the value of this namespace at this path.
    pub fn new(
        namespace: impl Into<Name>,
        path: impl IntoIterator<Item = impl Into<String>>,
        value: ValueMatcher,
    ) -> Self {
        let path = path.into_iter().map(Into::into).collect();
        Self { namespace: namespace.into(), path, value, invert: false }
    }

    /// With or without the result negated.
    #[must_use]
    pub fn with_invert(self, invert: bool) -> Self {
        Self { invert, ..self }
    }

    /// Whether a call with this metadata matches. A value that is not there never does, unless the result is negated.
    // HF-21
    pub fn matches(&self, metadata: Option<&DynamicMetadata>) -> bool {
        let value = metadata.and_then(|metadata| self.find(metadata));
        value.is_some_and(|value| self.value.matches(value)) != self.invert
    }

    fn find<'m>(&self, metadata: &'m DynamicMetadata) -> Option<&'m Value> {
        let (first, rest) = self.path.split_first()?;
        let outermost = metadata.namespace(&self.namespace)?.get(first)?;
        rest.iter().try_fold(outermost, |value, field| value.as_object()?.get(field))
    }
}

impl ValueMatcher {
    fn matches(&self, value: &Value) -> bool {
        match self {
            Self::Null => value.is_null(),
            Self::Number(number) => value.as_f64().is_some_and(|value| value == *number),
            Self::NumberRange(range) => value.as_f64().is_some_and(|value| range.contains(&value)),
            Self::Text(matcher) => value.as_str().is_some_and(|text| matcher.matches(text)),
            Self::Bool(expected) => value.as_bool() == Some(*expected),
            Self::Present(present) => *present,
            Self::OneOf(element) => {
                value.as_array().is_some_and(|list| list.iter().any(|value| element.matches(value)))
            }
            Self::AnyOf(matchers) => matchers.iter().any(|matcher| matcher.matches(value)),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::policy::matcher::StringPattern;

    fn text(text: &str) -> ValueMatcher {
        ValueMatcher::Text(StringMatcher { pattern: StringPattern::Exact(text.into()), ignore_case: false })
    }

    fn metadata() -> DynamicMetadata {
        let mut metadata = DynamicMetadata::new();
        let payload = json!({
            "iss": "a", "realm.roles": "dotted", "realm": {"roles": ["x", "y"]}, "kubernetes.io": {"pod": "p"},
            "age": 7, "ok": true, "none": null,
        });
        metadata.insert("jwt", "payload", payload);
        metadata
    }

    /// Path steps are literal (J7), and values match only conditions of their own type.
    #[test]
    fn values_are_found_by_literal_steps_and_match_by_type() {
        let one_of = |value| ValueMatcher::OneOf(Box::new(value));
        let rows: &[(&[&str], ValueMatcher, bool)] = &[
            (&["payload", "iss"], text("a"), true),
            (&["payload", "iss"], text("b"), false),
            (&["payload", "realm.roles"], text("dotted"), true),
            (&["payload", "realm", "roles"], text("dotted"), false),
            (&["payload", "realm", "roles"], one_of(text("y")), true),
            (&["payload", "realm", "roles"], one_of(text("z")), false),
            (&["payload", "kubernetes.io", "pod"], text("p"), true),
            (&["payload", "kubernetes", "io", "pod"], text("p"), false),
            (&["payload", "age"], ValueMatcher::Number(7.0), true),
            (&["payload", "age"], ValueMatcher::NumberRange(0.0..7.0), false),
            (&["payload", "age"], ValueMatcher::NumberRange(7.0..8.0), true),
            (&["payload", "age"], text("7"), false),
            (&["payload", "ok"], ValueMatcher::Bool(true), true),
            (&["payload", "ok"], ValueMatcher::Bool(false), false),
            (&["payload", "none"], ValueMatcher::Null, true),
            (&["payload", "absent"], ValueMatcher::Null, false),
            (&["payload", "ok"], ValueMatcher::Present(true), true),
            (&["payload", "ok"], ValueMatcher::Present(false), false),
            (&["payload", "absent"], ValueMatcher::Present(true), false),
            (&["payload", "iss"], ValueMatcher::AnyOf(vec![text("b"), text("a")]), true),
            (&["payload", "iss", "deeper"], text("a"), false),
            (&[], ValueMatcher::Present(true), false),
        ];
        for (path, value, expected) in rows {
            let matcher = MetadataMatcher::new("jwt", path.iter().copied(), value.clone());
            assert_eq!(matcher.matches(Some(&metadata())), *expected, "{matcher:?}");
            assert_eq!(
                matcher.clone().with_invert(true).matches(Some(&metadata())),
                !expected,
                "{matcher:?}"
            );
            assert!(!matcher.matches(None), "{matcher:?}");
            let elsewhere = MetadataMatcher::new("other", path.iter().copied(), value.clone());
            assert!(!elsewhere.matches(Some(&metadata())), "{matcher:?}");
        }
    }
}
