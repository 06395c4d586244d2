//! The ledger of one type, without its kind of subject.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::Arc;
use std::time::Instant;

use super::request::Ask;
use super::subject::Content;
use super::subscription::{Subscription, SubscriptionChange};
use crate::resources::{EncodedResource, ResourceSet};

/// A [`Ledger`](super::ledger::Ledger) of any type.
pub(super) trait AnyLedger: Debug + Send {
    fn subscription(&self) -> &Subscription;

    /// Records the subscriptions of a request; `is_first`: of this type on this stream.
    fn ask(
        &mut self,
        now: Instant,
        ask: &Ask,
        is_first: bool,
        set: Option<&ResourceSet>,
    ) -> SubscriptionChange;

    /// Records the first resources.
    fn on_first(&mut self, now: Instant, set: &ResourceSet);

    /// Records a change of the resource of a name.
    fn review(&mut self, now: Instant, set: &ResourceSet, name: &Arc<str>);

    /// The client has accepted the latest response; returns the reason of an earlier refusal that still holds.
    fn on_ack(&mut self) -> Option<Arc<str>>;

    /// The client has refused the latest response: all that was new in it.
    fn on_nack(&mut self, reason: &Arc<str>);

    /// Whether changes wait to be sent, removals aside.
    fn is_due(&self) -> bool;

    /// The deleted names that the client still has, and since when.
    fn departing(&self) -> &BTreeMap<Arc<str>, Instant>;

    /// All waiting changes; with the removal of the names that were deleted up to an instant.
    fn take_changes(&mut self, now: Instant, set: &ResourceSet, remove_until: Option<Instant>) -> Content;

    /// CS-04: all subscribed resources, and those that were deleted too recently to be removed (CS-09).
    fn take_full_state(&mut self, now: Instant, set: &ResourceSet, remove_until: Option<Instant>) -> Content;

    /// The hash of all that the client has once it has applied the response: the same after a restart.
    fn version(&self) -> Arc<str>;

    /// Whether a resource of this name exists.
    fn exists(&self, set: &ResourceSet, name: &str) -> bool;

    /// The names of all resources.
    fn all_names(&self, set: &ResourceSet) -> Vec<Arc<str>>;

    /// Every name under which the client has a resource.
    fn held_names(&self) -> Vec<Arc<str>>;

    /// What the client has under this name.
    fn held_state(&self, name: &str) -> HeldState;

    /// Every resource that the client has refused, and why.
    fn refused(&self) -> Vec<(Arc<EncodedResource>, Arc<str>)>;

    /// Whether this stream has sent the client a resource of this name, deleted or not.
    fn was_told(&self, name: &str) -> bool;

    /// Whether the client was told that this resource is deleted, and is still subscribed to it by name.
    fn is_deleted(&self, name: &str) -> bool;
}

/// What a client has under a name.
#[derive(Debug)]
pub(super) enum HeldState {
    /// Nothing.
    Nothing,
    /// A resource from an earlier stream; with its version if the client sent one.
    Claimed { version: Option<Arc<str>>, is_current: bool },
    /// A resource from this stream.
    Sent {
        version: Arc<str>,
        /// `None` for a collection, which is several.
        resource: Option<Arc<EncodedResource>>,
        at: Instant,
        /// Why the client has refused it.
        refusal: Option<Arc<str>>,
        /// The answer to the latest response will be the first to this resource.
        is_latest: bool,
        /// The version that the client accepted last, if this one has been answered.
        accepted: Option<Arc<str>>,
        /// The version that the client accepted before, while this one is unanswered.
        accepted_before: Option<Arc<str>>,
    },
}
