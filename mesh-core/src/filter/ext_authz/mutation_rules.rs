//! Which headers an external service may change.

use crate::config::{Change, HeaderMutation};
use crate::policy::matcher::StringMatcher;

/// Which headers an external service may change. Headers of the protocol (`host`, `grpc-`, ..) are never changed, whatever is said here.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct MutationRules {
    /// No header is changed.
    pub disallow_all: bool,
    /// Headers that are not changed, even if they are allowed.
    pub disallowed: Option<StringMatcher>,
    /// The only headers that are changed; `None`: all.
    pub allowed: Option<StringMatcher>,
    /// An answer with a change that is not allowed fails the call; otherwise the change is left out.
    pub disallow_is_error: bool,
}

/// An answer has a change that is an error.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Disallowed;

impl MutationRules {
    /// The changes that are allowed.
    // HF-36
    pub(super) fn filter(&self, mutations: Vec<HeaderMutation>) -> Result<Vec<HeaderMutation>, Disallowed> {
        if self.disallow_all {
            return Ok(Vec::new());
        }
        let asked = mutations.len();
        let allowed: Vec<_> = mutations.into_iter().filter(|mutation| self.allows(mutation)).collect();
        match self.disallow_is_error && allowed.len() < asked {
            true => Err(Disallowed),
            false => Ok(allowed),
        }
    }

    fn allows(&self, mutation: &HeaderMutation) -> bool {
        let name = match mutation.change() {
            Change::Set { value, .. } if value.len() > MAX_VALUE => return false,
            Change::Set { name, .. } | Change::Remove(name) => name.as_str(),
            // The names that it removes are not known here.
            Change::RemoveMatching(_) => return false,
        };
        let matches = |matcher: &StringMatcher| matcher.matches(name);
        !self.disallowed.as_ref().is_some_and(matches) && self.allowed.as_ref().is_none_or(matches)
    }
}

/// The longest value of a header, in bytes.
const MAX_VALUE: usize = 16_384;
