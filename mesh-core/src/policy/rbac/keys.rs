//! What a call must have so that a condition can be met.

use crate::policy::matcher::{StringMatcher, StringPattern};

use super::condition::Condition;

/// Something that a call may have, and that finds policies in the index.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Key {
    /// The client has this name.
    Name(Box<str>),
    /// The client has a name that begins so: all accounts of a namespace, for example.
    NamePrefix(Box<str>),
    /// This is called.
    Path(Box<str>),
    /// Something is called whose path begins so: all methods of a service, for example.
    PathPrefix(Box<str>),
}

/// Ways to find a condition: a call that meets it has at least one key of each way.
#[derive(Debug, Default)]
pub(super) struct Ways {
    /// By names of the client.
    pub(super) names: Option<Vec<Key>>,
    /// By the path.
    pub(super) paths: Option<Vec<Key>>,
    /// By names or the path.
    pub(super) mixed: Option<Vec<Key>>,
}

impl Ways {
    /// The ways to find a condition; without any, every call has to be checked.
    pub(super) fn of(condition: &Condition) -> Self {
        match condition {
            Condition::Constant(false) => Self::never(),
            Condition::PathAmong(keys) => Self::by_paths(keys.texts.iter().cloned().map(Key::Path).collect()),
            Condition::NameAmong(keys) => Self::by_names(keys.texts.iter().cloned().map(Key::Name).collect()),
            Condition::Path(matcher) => match prefix(matcher) {
                Some(prefix) => Self::by_paths(vec![Key::PathPrefix(prefix)]),
                None => Self::default(),
            },
            Condition::Name(matcher) => match prefix(matcher) {
                Some(prefix) => Self::by_names(vec![Key::NamePrefix(prefix)]),
                None => Self::default(),
            },
            Condition::All(parts) => parts.iter().map(Self::of).fold(Self::default(), Self::and),
            Condition::AnyOf(parts) => parts.iter().map(Self::of).fold(Self::never(), Self::or),
            Condition::Constant(true)
            | Condition::Not(_)
            | Condition::Tls
            | Condition::LocalIp(_)
            | Condition::LocalPort(_)
            | Condition::RemoteIp(_)
            | Condition::Header(_)
            | Condition::Metadata(_) => Self::default(),
        }
    }

    /// All ways.
    pub(super) fn each(self) -> impl Iterator<Item = Vec<Key>> {
        [self.names, self.paths, self.mixed].into_iter().flatten()
    }

    /// Nothing meets the condition.
    fn never() -> Self {
        Self { names: Some(Vec::new()), paths: Some(Vec::new()), mixed: Some(Vec::new()) }
    }

    fn by_names(keys: Vec<Key>) -> Self {
        Self { mixed: Some(keys.clone()), names: Some(keys), paths: None }
    }

    fn by_paths(keys: Vec<Key>) -> Self {
        Self { mixed: Some(keys.clone()), names: None, paths: Some(keys) }
    }

    /// A call that meets both has a key of each, so the shorter list is enough.
    fn and(self, other: Self) -> Self {
        let shorter = |one: Option<Vec<Key>>, other: Option<Vec<Key>>| match (one, other) {
            (Some(one), Some(other)) => Some(if other.len() < one.len() { other } else { one }),
            (one, other) => one.or(other),
        };
        Self {
            names: shorter(self.names, other.names),
            paths: shorter(self.paths, other.paths),
            mixed: shorter(self.mixed, other.mixed),
        }
    }

    /// A call that meets one of both has a key of one of both.
    fn or(self, other: Self) -> Self {
        let joined = |one: Option<Vec<Key>>, other: Option<Vec<Key>>| {
            let (mut one, other) = one.zip(other)?;
            one.extend(other);
            Some(one)
        };
        Self {
            names: joined(self.names, other.names),
            paths: joined(self.paths, other.paths),
            mixed: joined(self.mixed, other.mixed),
        }
    }
}

/// The beginning that a matcher demands, with regard to case.
fn prefix(matcher: &StringMatcher) -> Option<Box<str>> {
    match &matcher.pattern {
        StringPattern::Prefix(prefix) if !matcher.ignore_case => Some(prefix.as_str().into()),
        _ => None,
    }
}
