//! Following single calls, for traces.

use std::any::Any;
use std::fmt::Debug;
use std::sync::Arc;

use http::HeaderMap;

use super::{AttemptRecord, CallRecord, ServedRecord};

/// Follows one call of a client. Its functions run on the tasks of the call, and must not block.
pub trait CallTrace: Debug + Send + Sync {
    /// The call has waited for the first configuration of its target, which has come.
    fn configuration_delayed(&self) {}

    /// An attempt begins. `None`: it is not followed.
    fn attempt_started(&self, attempt: AttemptStart) -> Option<Arc<dyn AttemptTrace>>;

    /// The call has ended.
    fn ended(&self, _call: &CallRecord<'_>) {}
}

/// Which attempt of a call begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct AttemptStart {
    /// How many attempts there have been before, without transparent retries.
    pub previous_attempts: u32,
    /// Whether it repeats, transparently, one that was not processed.
    pub is_transparent: bool,
}

impl AttemptStart {
    pub(crate) fn new(previous_attempts: u32, is_transparent: bool) -> Self {
        Self { previous_attempts, is_transparent }
    }
}

/// Follows one attempt.
pub trait AttemptTrace: Debug + Send + Sync {
    /// The attempt has waited for an endpoint, which it has now.
    fn pick_delayed(&self) {}

    /// It is about to be sent with these headers, to which more may be added.
    fn sending(&self, _headers: &mut HeaderMap) {}

    /// A message is being sent.
    fn message_sent(&self, _message: ObservedMessage) {}

    /// A message begins to arrive.
    fn message_received(&self, _message: ObservedMessage) {}

    /// It has ended.
    fn ended(&self, _attempt: &AttemptRecord<'_>) {}
}

/// Follows one call on a server.
pub trait ServedTrace: Debug + Send + Sync {
    /// The application works on the call until the returned value is dropped, on this thread.
    fn enter(&self) -> Entered {
        Entered(None)
    }

    /// A message is being sent.
    fn message_sent(&self, _message: ObservedMessage) {}

    /// A message begins to arrive.
    fn message_received(&self, _message: ObservedMessage) {}

    /// The call has ended.
    fn ended(&self, _call: &ServedRecord<'_>) {}
}

/// The application works on a call until this is dropped.
#[must_use = "the application leaves the call when this is dropped"]
pub struct Entered(Option<Box<dyn Any>>);

impl Entered {
    /// Drops this guard when the application leaves the call.
    pub fn new(guard: impl Any) -> Self {
        Self(Some(Box::new(guard)))
    }
}

impl Debug for Entered {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Entered").field("has_guard", &self.0.is_some()).finish()
    }
}

/// A message of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct ObservedMessage {
    /// From 0 in its direction.
    pub sequence: u64,
    /// Its bytes as they are sent: compressed if it is.
    pub length: u32,
    /// Whether it is compressed.
    pub is_compressed: bool,
}
