//! The limit of unwritten calls in h2.

/// The limit of calls in h2 whose heads are not written. h2 writes a cancelled one all the same, and servers on h2 end a
/// connection on which more than 20 calls are cancelled before they are accepted.
///
/// The limit is doubled while calls wait for it, so that a burst needs one write. A cancelled call resets it for the next
/// [`CAUTIOUS_FOR`](Self::CAUTIOUS_FOR) calls.
#[derive(Debug)]
pub(super) struct UnsentLimit {
    limit: u32,
    /// For this many calls the limit is not raised.
    cautious_for: u32,
}

impl UnsentLimit {
    /// This many heads were written. Returns the new limit, if it changes.
    pub(super) fn on_sent(&mut self, calls: u32, is_given_up: bool, is_awaited: bool) -> Option<u32> {
        self.cautious_for = self.cautious_for.saturating_sub(calls);
        let limit = if is_given_up {
            self.cautious_for = Self::CAUTIOUS_FOR;
            Self::MIN
        } else if is_awaited && self.cautious_for == 0 {
            (self.limit * 2).min(Self::MAX)
        } else {
            self.limit
        };
        (std::mem::replace(&mut self.limit, limit) != limit).then_some(limit)
    }

    /// The limit at the start, and after a cancelled call.
    pub(super) const MIN: u32 = 16;
    const MAX: u32 = 64;
    const CAUTIOUS_FOR: u32 = 4_096;
}

impl Default for UnsentLimit {
    fn default() -> Self {
        Self { limit: Self::MIN, cautious_for: 0 }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::frame::{self, Head};
    use super::super::gate::{Gate, Refusal};
    use super::super::settings::Http2Settings;
    use super::super::shared::Shared;
    use super::super::wire::Wire;
    use super::*;

    #[test]
    fn limit_grows_while_calls_wait_and_falls_when_one_is_given_up() {
        let mut limit = UnsentLimit::default();
        let steps = [
            ("nothing waits", 16, false, false, None),
            ("calls wait", 16, false, true, Some(32)),
            ("calls still wait", 32, false, true, Some(64)),
            ("the most", 64, false, true, None),
            ("nothing waits any more", 1, false, false, None),
            ("one was given up", 64, true, true, Some(16)),
            ("calls wait again", 4_000, false, true, None),
            ("the end of caution", 96, false, true, Some(32)),
        ];
        for (name, sent, is_given_up, is_awaited, expected) in steps {
            assert_eq!(limit.on_sent(sent, is_given_up, is_awaited), expected, "{name}");
        }
    }

    struct Outbox(Arc<Shared>);

    impl AsRef<Gate> for Outbox {
        fn as_ref(&self) -> &Gate {
            &self.0.outbox
        }
    }

    fn head(kind: u8, stream: u32) -> Head {
        Head { length: 0, kind, flags: frame::END_HEADERS, stream }
    }

    /// Fills the outbox, lets one more call wait, and writes all heads, with resets of some of them. Returns the limit.
    fn burst(shared: &Arc<Shared>, wire: &mut Wire, next: &mut u32, resets: &[u32]) -> u32 {
        let first = *next;
        while shared.outbox.try_enter() != Err(Refusal::Full) {
            *next += 2;
        }
        let mut waiting = Box::pin(Gate::enter(Outbox(shared.clone())));
        let cx = &mut std::task::Context::from_waker(std::task::Waker::noop());
        assert!(waiting.as_mut().poll(cx).is_pending());
        (first..*next).step_by(2).for_each(|stream| wire.on_sent(head(frame::HEADERS, stream)));
        resets.iter().for_each(|stream| wire.on_sent(head(frame::RST_STREAM, *stream)));
        wire.settle();
        drop(waiting);
        shared.outbox.limit()
    }

    #[test]
    fn call_counts_as_given_up_unsent_if_its_reset_goes_out_with_its_head() {
        let settings = Http2Settings::default();
        let shared = Arc::new(Shared::new(u32::MAX, &settings));
        let mut wire = Wire::new(shared.clone(), &settings);
        let mut next = 1;
        assert_eq!(burst(&shared, &mut wire, &mut next, &[]), 32);
        assert_eq!(burst(&shared, &mut wire, &mut next, &[1, 31]), 64, "the endpoint had them already");
        let present = next;
        assert_eq!(burst(&shared, &mut wire, &mut next, &[present]), 16);
        assert_eq!(burst(&shared, &mut wire, &mut next, &[]), 16);
    }
}
