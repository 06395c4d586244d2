//! Changes of headers: which header, what happens to it, and what stays as it is.

use http::{HeaderName, HeaderValue};

use crate::policy::matcher::StringMatcher;

use super::ConfigError;

/// One change of headers: a header is set or removed, or every header with a matching name is removed.
///
/// Some headers belong to the protocol and are never changed: `host`, all `grpc-` headers, and those that describe the
/// connection or the framing (`te`, `connection`, `transfer-encoding`, `content-length`, ..). A mutation that names one
/// cannot be made; one that matches names passes them over.
#[derive(Debug, Clone, PartialEq)]
pub struct HeaderMutation(Change);

/// What a mutation does.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Change {
    Set { name: HeaderName, value: HeaderValue, action: AppendAction },
    Remove(HeaderName),
    RemoveMatching(StringMatcher),
}

/// What happens to the values that a header has already.
// RT-67
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AppendAction {
    /// They stay, and the value is added.
    #[default]
    AppendIfExistsOrAdd,
    /// The value is added only where there is none.
    AddIfAbsent,
    /// The value takes their place, or is added where there is none.
    OverwriteIfExistsOrAdd,
    /// The value takes their place; where there is none, nothing happens.
    OverwriteIfExists,
}

impl HeaderMutation {
    /// Gives a header this value.
    ///
    /// # Errors
    /// [`ConfigError::ProtectedHeader`] for a header that is never changed.
    pub fn set(name: HeaderName, value: HeaderValue, action: AppendAction) -> Result<Self, ConfigError> {
        changeable(name).map(|name| Self(Change::Set { name, value, action }))
    }

    /// Removes a header.
    ///
    /// # Errors
    /// [`ConfigError::ProtectedHeader`] for a header that is never changed.
    pub fn remove(name: HeaderName) -> Result<Self, ConfigError> {
        changeable(name).map(|name| Self(Change::Remove(name)))
    }

    /// Removes every header whose name, in lower case, matches.
    pub fn remove_matching(names: StringMatcher) -> Self {
        Self(Change::RemoveMatching(names))
    }

    pub(crate) fn change(&self) -> &Change {
        &self.0
    }
}

/// Changes of a request's and a response's headers; each list is applied in its order.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct HeaderMutations {
    /// Of the request's head.
    pub request: Vec<HeaderMutation>,
    /// Of the response's head.
    pub response: Vec<HeaderMutation>,
    /// Of the response's trailers, where it has any.
    pub trailers: Vec<HeaderMutation>,
}

impl HeaderMutations {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// With one more change of requests.
    #[must_use]
    pub fn request(mut self, mutation: HeaderMutation) -> Self {
        self.request.push(mutation);
        self
    }

    /// With one more change of responses.
    #[must_use]
    pub fn response(mut self, mutation: HeaderMutation) -> Self {
        self.response.push(mutation);
        self
    }

    /// With one more change of trailers.
    #[must_use]
    pub fn trailers(mut self, mutation: HeaderMutation) -> Self {
        self.trailers.push(mutation);
        self
    }

    /// Whether nothing is changed.
    pub fn is_empty(&self) -> bool {
        self.request.is_empty() && self.response.is_empty() && self.trailers.is_empty()
    }
}

/// In which order the changes of a virtual host, a route and a weighted cluster are applied; later ones can undo
/// earlier ones.
// RT-66, HF-46
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum MutationOrder {
    /// Weighted cluster, route, virtual host, route configuration: the least specific has the last word.
    #[default]
    MostSpecificFirst,
    /// The reverse: the most specific has the last word.
    MostSpecificLast,
}

// HF-36
pub(crate) fn is_protected(name: &HeaderName) -> bool {
    let name = name.as_str();
    name.starts_with("grpc-") || PROTECTED.contains(&name)
}

fn changeable(name: HeaderName) -> Result<HeaderName, ConfigError> {
    if is_protected(&name) {
        return Err(ConfigError::ProtectedHeader { name: name.as_str().to_owned() });
    }
    Ok(name)
}

/// Routing goes by `host`; the others describe one connection or the framing of one message (RFC 9110, 9113).
const PROTECTED: [&str; 9] = [
    "host",
    "te",
    "trailer",
    "connection",
    "keep-alive",
    "proxy-connection",
    "transfer-encoding",
    "upgrade",
    "content-length",
];
