//! What a client has under a name, and what it said to it.

use std::sync::Arc;
use std::time::Instant;

use crate::resources::EncodedResource;

/// What a client has under a name.
#[derive(Debug)]
pub(super) enum Held {
    /// This was sent on this stream.
    Sent(Sent),
    /// The client says that it has something of this version from an earlier stream; empty: of an unknown one.
    Claimed(Arc<str>),
}

/// A resource that was sent.
#[derive(Debug)]
pub(super) struct Sent {
    pub(super) resource: Arc<EncodedResource>,
    /// The response that an answer to this is an answer to: the first one with this content, or the latest one after the
    /// client has refused it.
    pub(super) response: u64,
    /// When this content was sent first.
    pub(super) at: Instant,
    pub(super) is_refused: bool,
    /// The version that the client accepted last before this one.
    accepted_before: Option<Arc<str>>,
}

impl Held {
    pub(super) fn is(&self, resource: &EncodedResource) -> bool {
        match self {
            Self::Sent(sent) => sent.resource.version == resource.version,
            Self::Claimed(version) => *version == resource.version,
        }
    }

    pub(super) fn sent_mut(&mut self) -> Option<&mut Sent> {
        match self {
            Self::Sent(sent) => Some(sent),
            Self::Claimed(_) => None,
        }
    }
}

impl Sent {
    pub(super) fn new(now: Instant, response: u64, resource: &Arc<EncodedResource>) -> Self {
        let resource = Arc::clone(resource);
        Self { resource, response, at: now, is_refused: false, accepted_before: None }
    }

    /// Sent once more, or something else in its place. Whatever was sent before has been answered by now.
    pub(super) fn again(self, now: Instant, response: u64, resource: &Arc<EncodedResource>) -> Self {
        if self.resource.version != resource.version {
            return Self { accepted_before: self.accepted(), ..Self::new(now, response, resource) };
        }
        let response = if self.is_refused { response } else { self.response };
        Self { resource: Arc::clone(resource), response, ..self }
    }

    /// The version that the client accepted last, provided that this has been answered.
    pub(super) fn accepted(&self) -> Option<Arc<str>> {
        match self.is_refused {
            true => self.accepted_before.clone(),
            false => Some(Arc::clone(&self.resource.version)),
        }
    }

    /// The same while this has not been answered.
    pub(super) fn accepted_before(&self) -> Option<Arc<str>> {
        self.accepted_before.clone()
    }
}
