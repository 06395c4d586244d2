//! When a connection takes no more calls because its cluster says so: it has carried as many as it may.

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU32, Ordering};

/// How many more calls a connection may carry.
#[derive(Debug)]
pub(super) struct CallBudget(Option<AtomicU32>);

impl CallBudget {
    /// `None`: any number.
    pub(super) fn new(limit: Option<NonZeroU32>) -> Self {
        Self(limit.map(|limit| AtomicU32::new(limit.get())))
    }

    /// Takes one call off. `false`: there is none left.
    pub(super) fn take(&self) -> bool {
        let Some(left) = &self.0 else { return true };
        left.fetch_update(Ordering::AcqRel, Ordering::Acquire, |left| left.checked_sub(1)).is_ok()
    }

    /// Whether every call has been taken.
    pub(super) fn is_used_up(&self) -> bool {
        self.0.as_ref().is_some_and(|left| left.load(Ordering::Acquire) == 0)
    }
}
