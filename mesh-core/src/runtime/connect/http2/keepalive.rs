//! When to ping and when to give up (gRFC A8). Pure: the connection's task owns the timer and the frames.
//!
//! ```text
//!               silence for an interval, and a reason to care
//!   LISTENING ------------------------------------------------> PINGED ----> dead
//!       ^                                                         |   timeout
//!       +---------------------------------------------------------+
//!                           anything arrives
//! ```

use std::time::Instant;

use super::settings::{Keepalive, KeepaliveScope};

/// When to ping and when to give up.
#[derive(Debug)]
pub(super) struct Pinger {
    settings: Keepalive,
    phase: Phase,
}

#[derive(Debug)]
enum Phase {
    Listening { until: Instant },
    Pinged { until: Instant },
}

/// What the deadline means.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Fine,
    Ping,
    Dead,
}

impl Pinger {
    pub(super) fn new(now: Instant, settings: Keepalive) -> Self {
        Self { settings, phase: Phase::Listening { until: now + settings.interval.duration() } }
    }

    pub(super) fn next_deadline(&self) -> Instant {
        match self.phase {
            Phase::Listening { until } | Phase::Pinged { until } => until,
        }
    }

    /// The deadline has passed. `heard`: something has arrived since the last one. `calls`: how many are in flight.
    pub(super) fn on_deadline(&mut self, now: Instant, heard: Heard, calls: usize) -> Verdict {
        let care = self.settings.scope == KeepaliveScope::All || calls > 0;
        let listening = Phase::Listening { until: now + self.settings.interval.duration() };
        match (&self.phase, heard) {
            (_, Heard::Something) => {
                self.phase = listening;
                Verdict::Fine
            }
            (Phase::Listening { .. }, Heard::Nothing) if care => {
                self.phase = Phase::Pinged { until: now + self.settings.timeout };
                Verdict::Ping
            }
            (Phase::Listening { .. }, Heard::Nothing) => {
                self.phase = listening;
                Verdict::Fine
            }
            (Phase::Pinged { .. }, Heard::Nothing) => Verdict::Dead,
        }
    }
}

/// Whether something has arrived since the last deadline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Heard {
    Something,
    Nothing,
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn pings_after_silence_and_gives_up_without_an_answer() {
        let all = Keepalive { scope: KeepaliveScope::All, ..Keepalive::new(Duration::from_secs(30)) };
        let calls = Keepalive::new(Duration::from_secs(30));
        let (yes, no) = (Heard::Something, Heard::Nothing);
        let (fine, ping, dead) = (Verdict::Fine, Verdict::Ping, Verdict::Dead);
        let rows = [
            ("traffic needs no ping", all, vec![(yes, 1, &fine, 30), (yes, 1, &fine, 30)]),
            ("silence with calls", calls, vec![(no, 1, &ping, 20), (no, 1, &dead, 20)]),
            ("silence without calls", calls, vec![(no, 0, &fine, 30), (no, 1, &ping, 20)]),
            ("silence without calls, but asked for", all, vec![(no, 0, &ping, 20), (no, 0, &dead, 20)]),
            ("an answer", all, vec![(no, 0, &ping, 20), (yes, 0, &fine, 30), (no, 0, &ping, 20)]),
        ];
        for (name, settings, steps) in rows {
            let mut now = Instant::now();
            let mut pinger = Pinger::new(now, settings);
            for (heard, calls, verdict, next) in steps {
                now = pinger.next_deadline();
                assert_eq!(pinger.on_deadline(now, heard, calls), *verdict, "{name}");
                if *verdict != Verdict::Dead {
                    assert_eq!(pinger.next_deadline() - now, Duration::from_secs(next), "{name}");
                }
            }
        }
    }

    #[test]
    fn interval_is_at_least_ten_seconds() {
        for (given, used) in [(0, 10), (10, 10), (300, 300)] {
            let keepalive = Keepalive::new(Duration::from_secs(given));
            assert_eq!(keepalive.interval.duration(), Duration::from_secs(used));
            assert_eq!(keepalive.timeout, Duration::from_secs(20));
        }
        assert_eq!(super::super::Http2Settings::default().keepalive, None, "off by default");
    }
}
