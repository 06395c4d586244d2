//! How many calls a cluster may have in flight at once (gRFC A32).

use crate::config::MaxRequests;
use crate::sharded::Permits;

/// The number of a cluster's calls in flight. The limit is an argument, so that a new limit changes no count (LB-25).
///
/// There are never more calls in flight than the limit, on however many threads. A call is rejected although there are fewer
/// only if others start or end at the same moment.
#[derive(Debug)]
pub(crate) struct InFlight(Permits);

impl Default for InFlight {
    fn default() -> Self {
        Self(Permits::new(BATCH))
    }
}

impl InFlight {
    /// Counts one more call, unless there are already as many as `limit`. Each `true` is followed by one
    /// [`leave`](Self::leave).
    #[inline(always)]
    pub(crate) fn enter(&self, limit: MaxRequests) -> bool {
        // LB-23: a call is rejected when `limit` calls are in flight. LB-26: so a limit of zero rejects every call.
        self.0.take(1, limit.0 as usize)
    }

    /// Counts the end of a call that [`enter`](Self::enter) admitted.
    #[inline(always)]
    pub(crate) fn leave(&self) {
        self.0.give_back(1);
    }

    /// How many calls are in flight.
    pub(crate) fn count(&self) -> u32 {
        u32::try_from(self.0.in_use()).unwrap_or(u32::MAX)
    }
}

/// How many calls a shard may start before its threads write the common count again.
const BATCH: usize = 32;

#[cfg(test)]
mod tests {
    use super::InFlight;
    use crate::config::MaxRequests;

    /// Proves: LB-25.
    #[test]
    fn lower_limit_rejects_calls_until_enough_have_ended() {
        let in_flight = InFlight::default();
        assert!((0..105).all(|_| in_flight.enter(MaxRequests(105))));
        let limit = MaxRequests(100);
        for _ in 0..5 {
            assert!(!in_flight.enter(limit));
            in_flight.leave();
        }
        assert_eq!(in_flight.count(), 100);
        assert!(!in_flight.enter(limit));
        in_flight.leave();
        assert!(in_flight.enter(limit));
    }

    /// Proves: LB-26.
    #[test]
    fn limit_of_zero_rejects_every_call_and_maximum_none() {
        let in_flight = InFlight::default();
        assert!(!in_flight.enter(MaxRequests(0)));
        assert!((0..10_000).all(|_| in_flight.enter(MaxRequests(u32::MAX))));
    }

    #[test]
    fn default_limit_is_1024() {
        let in_flight = InFlight::default();
        assert!((0..1024).all(|_| in_flight.enter(MaxRequests::default())));
        assert!(!in_flight.enter(MaxRequests::default()));
        assert_eq!(in_flight.count(), 1024);
    }
}
