//! The books of one type, whatever stands in them.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::Arc;
use std::time::Instant;

use super::request::Ask;
use super::subject::Content;
use super::subscription::{Subscription, Turn};
use crate::resources::{EncodedResource, ResourceSet};

/// [`Ledger`](super::ledger::Ledger)s of all types.
pub(super) trait Books: Debug + Send {
    fn subscription(&self) -> &Subscription;

    /// Enters what a request asks for; `is_first`: of this type on this stream.
    fn ask(&mut self, now: Instant, ask: &Ask, is_first: bool, set: Option<&ResourceSet>) -> Turn;

    /// Enters the first resources there are.
    fn on_first(&mut self, now: Instant, set: &ResourceSet);

    /// Enters what has become of a name.
    fn review(&mut self, now: Instant, set: &ResourceSet, name: &Arc<str>);

    /// The client has accepted the latest response; gives the reason of something that it refused before.
    fn on_ack(&mut self) -> Option<Arc<str>>;

    /// The client has refused the latest response: whatever was new in it.
    fn on_nack(&mut self, reason: &Arc<str>);

    /// Whether something is to be sent, removals aside.
    fn is_due(&self) -> bool;

    /// The names that exist no more and have to be removed from the client, and since when.
    fn departing(&self) -> &BTreeMap<Arc<str>, Instant>;

    /// All news under the names that have any; with the removal of the names that departed up to an instant.
    fn take_changes(&mut self, now: Instant, set: &ResourceSet, remove_until: Option<Instant>) -> Content;

    /// CS-04: everything that is subscribed and exists, and what departed too lately to be taken away (CS-09).
    fn take_full_state(&mut self, now: Instant, set: &ResourceSet, remove_until: Option<Instant>) -> Content;

    /// The hash of all that the client holds once it has applied the response: the same after a restart.
    fn version(&self) -> Arc<str>;

    /// Whether there is something of this name.
    fn exists(&self, set: &ResourceSet, name: &str) -> bool;

    /// Every name that there is.
    fn all_names(&self, set: &ResourceSet) -> Vec<Arc<str>>;

    /// Every name that the client holds something of.
    fn held_names(&self) -> Vec<Arc<str>>;

    /// What the client holds of this name.
    fn standing(&self, name: &str) -> Standing;

    /// Whether the client has, or had until it was deleted, something of this name from this stream.
    fn was_told(&self, name: &str) -> bool;

    /// Whether the client was told that this is no more, and still asks for it by name.
    fn is_deleted(&self, name: &str) -> bool;
}

/// What a client holds of a name.
#[derive(Debug)]
pub(super) enum Standing {
    /// Nothing.
    Nothing,
    /// Something from an earlier stream; with its version if it said one.
    Claimed { version: Option<Arc<str>>, is_current: bool },
    /// Something from this stream.
    Sent {
        version: Arc<str>,
        /// `None` if it is several at once.
        resource: Option<Arc<EncodedResource>>,
        at: Instant,
        /// Why the client has refused it.
        refusal: Option<Arc<str>>,
        /// The latest response has the first answer to this to come.
        is_latest: bool,
        /// The version that the client accepted last, provided that this has been answered.
        accepted: Option<Arc<str>>,
        /// The same while it has not.
        accepted_before: Option<Arc<str>>,
    },
}
