//! Counts of handshakes (gRFC A118).

use std::sync::Arc;

use crate::config::Name;
use crate::counters::{CLIENT_HANDSHAKES, Counter, CounterStore, ENDED_CONNECTIONS, SERVER_HANDSHAKES};

use super::HandshakeResult;

/// Which side of the handshakes counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Client,
    Server,
}

/// Whether a handshake has resumed a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::runtime) enum Resumed {
    No,
    Yes,
}

/// The counters of one side.
#[derive(Debug)]
pub(super) struct HandshakeCounts {
    /// By result; of full and of resumed handshakes.
    counters: Vec<[Counter; 2]>,
    /// Connections that were ended later, by the result that a handshake would have then.
    ended: Vec<Counter>,
}

impl HandshakeCounts {
    pub(super) fn new(store: &Arc<CounterStore>, side: Side) -> Self {
        let (family, name) = match side {
            Side::Client => (&CLIENT_HANDSHAKES, "client"),
            Side::Server => (&SERVER_HANDSHAKES, "server"),
        };
        let counter = |result: HandshakeResult, resumed: &str| {
            store.counter(family, [Name::from(result.name()), Name::from(resumed)])
        };
        let both = |result| [counter(result, "FULL_HANDSHAKE"), counter(result, "RESUMED_HANDSHAKE")];
        let ended = |result: HandshakeResult| {
            store.counter(&ENDED_CONNECTIONS, [Name::from(name), Name::from(result.name())])
        };
        Self {
            counters: HandshakeResult::ALL.map(both).to_vec(),
            ended: HandshakeResult::ALL.map(ended).to_vec(),
        }
    }

    pub(super) fn count(&self, result: HandshakeResult, resumed: Resumed) {
        if let Some(counters) = self.counters.get(result as usize) {
            counters[usize::from(resumed == Resumed::Yes)].increment();
        }
    }

    /// A connection is ended whose peer a handshake would refuse now.
    pub(super) fn count_ended(&self, result: HandshakeResult) {
        if let Some(counter) = self.ended.get(result as usize) {
            counter.increment();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_result_is_counted_under_its_name() {
        let store = Arc::default();
        let counts = HandshakeCounts::new(&store, Side::Server);
        for (times, result) in HandshakeResult::ALL.into_iter().enumerate() {
            (0..=times).for_each(|_| counts.count(result, Resumed::No));
        }
        counts.count(HandshakeResult::Success, Resumed::Yes);
        let values = store.values();
        let value = |result: HandshakeResult, resumed: &str| {
            let labels = [result.name(), resumed].map(Name::from);
            values.iter().find(|counter| counter.labels == labels).map_or(0, |counter| counter.value)
        };
        for (times, result) in HandshakeResult::ALL.into_iter().enumerate() {
            assert_eq!(value(result, "FULL_HANDSHAKE"), times as u64 + 1, "{result}");
        }
        assert_eq!(value(HandshakeResult::Success, "RESUMED_HANDSHAKE"), 1);
        assert!(values.iter().all(|counter| counter.family == SERVER_HANDSHAKES));
    }
}
