//! The next publication of a cluster's task.

use std::sync::Arc;

use crate::config::DropCategory;
use crate::policy::lb::{Connectivity, Picker, with_drops};

use crate::runtime::accounting::Accounting;

use super::Published;
use super::cluster::Shared;
use super::published::{NotYet, Slots};
use super::sessions::ByAddress;
use super::waiting_calls::Helped;

/// The current parts of a publication, and which of them differ from the last publication.
#[derive(Debug)]
pub(super) struct Publication<T> {
    accounting: Arc<Accounting>,
    /// Without the leaf's drops.
    picker: (Connectivity, Arc<dyn Picker>),
    drops: Arc<[DropCategory]>,
    slots: Slots<T>,
    by_address: ByAddress,
    /// The next publication wakes all calls that wait.
    helps_all: bool,
    /// Every connection was closed after the idle timeout.
    is_at_rest: bool,
    changed: Extent,
}

/// Which parts of a publication have changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Extent {
    Nothing,
    Picker,
    Endpoints,
}

impl<T> Publication<T> {
    pub(super) fn set_picker(&mut self, picker: (Connectivity, Arc<dyn Picker>)) {
        self.picker = picker;
        self.changed = self.changed.max(Extent::Picker);
    }

    /// Sets accounting and drops of the leaf whose endpoints the picker picks.
    pub(super) fn set_leaf(&mut self, accounting: &Arc<Accounting>, drops: &[DropCategory]) {
        if Arc::ptr_eq(&self.accounting, accounting) && *self.drops == *drops {
            return;
        }
        self.accounting = accounting.clone();
        self.drops = drops.into();
        self.changed = self.changed.max(Extent::Picker);
    }

    pub(super) fn set_slots(&mut self, slots: Slots<T>) {
        self.slots = slots;
        self.by_address = ByAddress::default();
        self.changed = Extent::Endpoints;
    }

    /// Sets whether every connection was closed after the idle timeout: then the cluster is published as idle, with the same
    /// picker.
    pub(super) fn set_at_rest(&mut self, is_at_rest: bool) {
        if std::mem::replace(&mut self.is_at_rest, is_at_rest) != is_at_rest {
            self.repeat();
        }
    }

    /// Publishes next time even without a change, so that calls that wait pick again.
    pub(super) fn repeat(&mut self) {
        self.changed = self.changed.max(Extent::Picker);
    }

    /// As [`repeat`](Self::repeat), for calls that wait although the cluster's picker makes every call wait.
    pub(super) fn repeat_for_all(&mut self) {
        self.helps_all = true;
        self.repeat();
    }

    /// Publishes if a part has changed.
    pub(super) fn publish(&mut self, shared: &Shared<T>) -> Extent {
        let changed = std::mem::replace(&mut self.changed, Extent::Nothing);
        if changed > Extent::Nothing {
            let version = shared.published.load().version + 1;
            let (state, picker) = self.picker.clone();
            let picker = with_drops(&self.drops, &state, picker);
            let state = if self.is_at_rest { Connectivity::Idle } else { state };
            // RT-26: calls of a removed cluster fail, also those that wait for ready.
            let is_removed = shared.removed().is_some();
            let helps_all = std::mem::take(&mut self.helps_all) || is_removed;
            let helped = if helps_all { Helped::All } else { Helped::by(&state, &*picker) };
            let accounting = self.accounting.clone();
            let (slots, by_address) = (self.slots.clone(), self.by_address.clone());
            let drops = self.drops.clone();
            let published = Published { version, state, picker, accounting, slots, by_address, drops };
            shared.published.store(Arc::new(published));
            shared.version.send_replace(version);
            shared.waiting.wake(helped);
        }
        changed
    }
}

impl<T> Publication<T> {
    /// The state before the first publication: nothing is known.
    pub(super) fn nothing(accounting: Arc<Accounting>) -> Self {
        Self {
            accounting,
            picker: (Connectivity::Connecting, Arc::new(NotYet)),
            drops: Arc::default(),
            slots: Slots::default(),
            by_address: ByAddress::default(),
            helps_all: false,
            is_at_rest: false,
            changed: Extent::Endpoints,
        }
    }
}
