//! What a client has under a name, and how it answered.

use std::sync::Arc;
use std::time::Instant;

use super::subject::Subject;

/// What a client has under a name.
#[derive(Debug)]
pub(super) enum Held<S: Subject> {
    /// It was sent on this stream.
    Sent(Sent<S>),
    /// The client has reported it as received on an earlier stream.
    Claimed(S::Claim),
    /// The client may have this or nothing: it subscribed again while the response was unanswered.
    Perhaps(Box<Self>),
}

/// A resource that was sent.
#[derive(Debug)]
pub(super) struct Sent<S> {
    pub(super) subject: Arc<S>,
    /// The response whose answer counts for this resource: the first one with this content, or the latest one after the
    /// client has refused it.
    pub(super) response: u64,
    /// When this content was sent first.
    pub(super) at: Instant,
    /// Why the client has refused it.
    pub(super) refusal: Option<Arc<str>>,
    /// The version that the client accepted last before this one.
    accepted_before: Option<Arc<str>>,
}

impl<S: Subject> Held<S> {
    pub(super) fn is(&self, subject: &S) -> bool {
        match self {
            Self::Sent(sent) => sent.subject.version() == subject.version(),
            Self::Claimed(claim) => subject.is_claimed(claim),
            Self::Perhaps(_) => false,
        }
    }

    /// What the client may have after it has subscribed again. At most one `Perhaps` deep: dropping a long chain would
    /// overflow the stack, and a client could make one.
    pub(super) fn doubted(self) -> Self {
        match self {
            Self::Perhaps(_) => self,
            Self::Sent(_) | Self::Claimed(_) => Self::Perhaps(Box::new(self)),
        }
    }

    pub(super) fn sent_mut(&mut self) -> Option<&mut Sent<S>> {
        match self {
            Self::Sent(sent) => Some(sent),
            Self::Claimed(_) | Self::Perhaps(_) => None,
        }
    }
}

impl<S: Subject> Sent<S> {
    pub(super) fn new(now: Instant, response: u64, subject: &Arc<S>) -> Self {
        let subject = Arc::clone(subject);
        Self { subject, response, at: now, refusal: None, accepted_before: None }
    }

    /// Sent once more, or another resource in its place. The resource before has been answered by now.
    pub(super) fn again(self, now: Instant, response: u64, subject: &Arc<S>) -> Self {
        if self.subject.version() != subject.version() {
            return Self { accepted_before: self.accepted(), ..Self::new(now, response, subject) };
        }
        let response = if self.refusal.is_some() { response } else { self.response };
        Self { subject: Arc::clone(subject), response, ..self }
    }

    /// The version that the client accepted last, if this one has been answered.
    pub(super) fn accepted(&self) -> Option<Arc<str>> {
        match self.refusal.is_some() {
            true => self.accepted_before.clone(),
            false => Some(Arc::clone(self.subject.version())),
        }
    }

    /// The version that the client accepted before, while this one is unanswered.
    pub(super) fn accepted_before(&self) -> Option<Arc<str>> {
        self.accepted_before.clone()
    }
}
