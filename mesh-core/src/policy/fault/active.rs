//! How many calls have a fault.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use super::MaxActiveFaults;

/// How many calls have a fault, all filters together (HF-15). The limit is an argument: each filter has its own.
#[derive(Debug, Default)]
pub(crate) struct ActiveFaults(AtomicU32);

/// A call that has a fault; dropped when the fault is over.
#[derive(Debug)]
pub(crate) struct ActiveFault(Arc<ActiveFaults>);

impl ActiveFaults {
    /// Counts one more call with a fault. `None`: the limit is reached, and the call gets no fault.
    pub(crate) fn begin(self: &Arc<Self>, limit: Option<MaxActiveFaults>) -> Option<ActiveFault> {
        // dropping it takes the call out of the count again
        let fault = ActiveFault(self.clone());
        let before = self.0.fetch_add(1, Ordering::Relaxed);
        limit.is_none_or(|MaxActiveFaults(limit)| before < limit).then_some(fault)
    }
}

impl Drop for ActiveFault {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}
