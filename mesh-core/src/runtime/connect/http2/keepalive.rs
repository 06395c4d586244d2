//! When to ping, and when a connection is dead (gRFC A8). Pure: the connection's task owns the timer and the frames.
//!
//! ```text
//!               silence for an interval, if pings apply
//!   LISTENING ------------------------------------------------> PINGED ----> dead
//!       ^                                                         |   timeout
//!       +---------------------------------------------------------+
//!                           anything arrives
//! ```

use std::time::{Duration, Instant};

use super::settings::{Http2Settings, Keepalive, KeepaliveScope, Probe};
use super::shared::Sign;

/// Decides when to ping, and when a connection is dead.
#[derive(Debug)]
pub(super) struct Pinger {
    interval: Duration,
    /// The interval after a ping that was answered, until a part of a response arrives.
    interval_between_pings: Duration,
    timeout: Duration,
    scope: KeepaliveScope,
    phase: PingPhase,
    /// The last ping was answered, and no part of a response has arrived since.
    only_answered: bool,
}

#[derive(Debug)]
enum PingPhase {
    Listening { until: Instant },
    Pinged { until: Instant },
}

/// The decision at a deadline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Fine,
    Ping,
    Dead,
}

impl Pinger {
    /// By the configured keepalive, or else by the probe.
    pub(super) fn new(now: Instant, settings: &Http2Settings) -> Option<Self> {
        match (settings.keepalive, settings.probe) {
            (Some(keepalive), _) => Some(Self::keepalive(now, keepalive)),
            (None, Some(probe)) => Some(Self::probe(now, probe)),
            (None, None) => None,
        }
    }

    fn keepalive(now: Instant, settings: Keepalive) -> Self {
        let interval = settings.interval.duration();
        Self::with(now, [interval, interval, settings.timeout], settings.scope)
    }

    fn probe(now: Instant, settings: Probe) -> Self {
        Self::with(now, [settings.silence, PING_POLICY, settings.timeout], KeepaliveScope::Calls)
    }

    fn with(now: Instant, durations: [Duration; 3], scope: KeepaliveScope) -> Self {
        let [interval, interval_between_pings, timeout] = durations.map(|duration| duration.min(FOREVER));
        let phase = PingPhase::Listening { until: now + interval };
        Self { interval, interval_between_pings, timeout, scope, phase, only_answered: false }
    }

    pub(super) fn next_deadline(&self) -> Instant {
        match self.phase {
            PingPhase::Listening { until } | PingPhase::Pinged { until } => until,
        }
    }

    /// Something has arrived.
    pub(super) fn on_sign(&mut self, now: Instant, sign: Sign) {
        match (sign, &self.phase) {
            (Sign::Progress, _) => self.only_answered = false,
            (Sign::Life, PingPhase::Pinged { .. }) => self.only_answered = true,
            (Sign::Life, PingPhase::Listening { .. }) => {}
        }
        self.listen(now);
    }

    /// The deadline has passed, with so many calls in flight.
    pub(super) fn on_deadline(&mut self, now: Instant, calls: u32) -> Verdict {
        match self.phase {
            PingPhase::Pinged { .. } => Verdict::Dead,
            PingPhase::Listening { .. } if calls == 0 && self.scope == KeepaliveScope::Calls => {
                self.only_answered = false;
                self.listen(now);
                Verdict::Fine
            }
            PingPhase::Listening { .. } => {
                self.phase = PingPhase::Pinged { until: now + self.timeout };
                Verdict::Ping
            }
        }
    }

    fn listen(&mut self, now: Instant) {
        let interval = if self.only_answered { self.interval_between_pings } else { self.interval };
        self.phase = PingPhase::Listening { until: now + interval };
    }
}

/// LB-80: by default endpoints accept one ping in this time, and more only if parts of a response are between them.
const PING_POLICY: Duration = Duration::from_secs(301);

/// Practically for ever; short enough to be added to any instant.
const FOREVER: Duration = Duration::from_secs(100 * 365 * 24 * 3_600);

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Clone, Copy)]
    enum Step {
        /// After so many seconds of silence the deadline passes, with so many calls in flight, and means this.
        Silence(u64, u32, Verdict),
        /// After so many seconds this arrives.
        Sign(u64, Sign),
    }

    /// Proves: LB-80.
    #[test]
    fn pings_after_silence_and_gives_up_without_an_answer() {
        use Sign::{Life, Progress};
        use Step::{Sign as Arrives, Silence};
        use Verdict::{Dead, Fine, Ping};
        let calls = |now| Pinger::keepalive(now, Keepalive::new(Duration::from_secs(30)));
        let all = |now| {
            let all = Keepalive { scope: KeepaliveScope::All, ..Keepalive::new(Duration::from_secs(30)) };
            Pinger::keepalive(now, all)
        };
        let probe = |now| Pinger::probe(now, Probe::default());
        type Row<'a> = (&'a str, &'a dyn Fn(Instant) -> Pinger, Vec<Step>);
        let rows: [Row<'_>; 8] = [
            ("silence with calls", &calls, vec![Silence(30, 1, Ping), Silence(20, 1, Dead)]),
            ("silence without calls", &calls, vec![Silence(30, 0, Fine), Silence(30, 1, Ping)]),
            ("silence without calls, but asked for", &all, vec![Silence(30, 0, Ping), Silence(20, 0, Dead)]),
            // The interval counts from the last sign of life, not from a beat.
            (
                "a sign of life",
                &calls,
                vec![Arrives(29, Life), Silence(30, 1, Ping), Arrives(19, Life), Silence(30, 1, Ping)],
            ),
            ("probe", &probe, vec![Silence(10, 1, Ping), Silence(20, 1, Dead)]),
            ("probe without calls", &probe, vec![Silence(10, 0, Fine), Silence(10, 0, Fine)]),
            // By the ping policy of gRPC servers.
            (
                "probe of a response that takes long",
                &probe,
                vec![Silence(10, 1, Ping), Arrives(1, Life), Silence(301, 1, Ping), Silence(20, 1, Dead)],
            ),
            (
                "probe after a part of a response",
                &probe,
                vec![Silence(10, 1, Ping), Arrives(1, Life), Arrives(5, Progress), Silence(10, 1, Ping)],
            ),
        ];
        for (name, pinger, steps) in rows {
            let mut now = Instant::now();
            let mut pinger = pinger(now);
            for step in steps {
                match step {
                    Silence(seconds, calls, verdict) => {
                        let deadline = pinger.next_deadline();
                        assert_eq!(deadline - now, Duration::from_secs(seconds), "{name}, {step:?}");
                        now = deadline;
                        assert_eq!(pinger.on_deadline(now, calls), verdict, "{name}, {step:?}");
                    }
                    Arrives(seconds, sign) => {
                        now += Duration::from_secs(seconds);
                        assert!(now < pinger.next_deadline(), "{name}, {step:?}");
                        pinger.on_sign(now, sign);
                    }
                }
            }
        }
    }

    /// Proves: LB-80.
    #[test]
    fn interval_is_at_least_ten_seconds() {
        for (given, used) in [(0, 10), (10, 10), (300, 300)] {
            let keepalive = Keepalive::new(Duration::from_secs(given));
            assert_eq!(keepalive.interval.duration(), Duration::from_secs(used));
            assert_eq!(keepalive.timeout, Duration::from_secs(20));
        }
        assert_eq!(Http2Settings::default().keepalive, None, "off by default");
    }

    #[test]
    fn unbounded_durations_never_elapse() {
        let endless = Keepalive { timeout: Duration::MAX, ..Keepalive::new(Duration::MAX) };
        let now = Instant::now();
        let mut pinger = Pinger::keepalive(now, endless);
        assert!(pinger.next_deadline() > now + Duration::from_secs(3_600 * 24 * 365));
        assert_eq!(pinger.on_deadline(pinger.next_deadline(), 1), Verdict::Ping);
        pinger.next_deadline();
    }
}
