//! Two lanes into one service: a client that opens few streams does not wait behind one that opens many. Pure.
//!
//! ```text
//! new stream ──> machine has its share of streams ──> refused
//!      ├──> gate has room ─────────────────────────────────────> enters
//!      ├──> the machine has opened few of late, reserve has room ──> enters
//!      └──> waits at the gate, or is refused
//! ```

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::server::connections::{Machine, share};
use crate::server::options::StreamLimits;

use super::gate::{Admission, Gate, Reason};

/// Decides on new streams, by the machine that they come from.
#[derive(Debug)]
pub(super) struct Lanes {
    limits: StreamLimits,
    gate: Gate,
    /// For machines that open few streams, when the gate is busy.
    reserve: Gate,
    machines: HashMap<Machine, OfMachine>,
    /// The number of machines at which those that are gone are looked for.
    prune_at: usize,
}

#[derive(Debug)]
struct OfMachine {
    open: usize,
    allowance: Gate,
    seen: Instant,
}

impl Lanes {
    pub(super) fn new(limits: StreamLimits) -> Self {
        Self {
            limits,
            gate: Gate::new(limits),
            reserve: Gate::of_rate(part(limits.per_second, RESERVE), SECOND),
            machines: HashMap::new(),
            prune_at: MOST_FORGOTTEN,
        }
    }

    /// A new stream; `None`: its machine is unknown.
    pub(super) fn arrive(&mut self, now: Instant, machine: Option<Machine>) -> Admission {
        let Some(machine) = machine else { return self.gate.arrive(now) };
        self.prune(now);
        let allowance = || Gate::of_rate(part(self.limits.per_second, ALLOWANCE), SECOND);
        let of_machine = self.machines.entry(machine).or_insert_with(|| OfMachine {
            open: 0,
            allowance: allowance(),
            seen: now,
        });
        of_machine.seen = now;
        if of_machine.open >= share(self.limits.max_streams) && !self.gate.is_full() {
            return Admission::Refuse(Reason::TooManyOfMachine);
        }
        let is_light = !of_machine.allowance.is_busy(now) && !self.reserve.is_busy(now);
        let verdict = if self.gate.is_busy(now) && is_light {
            of_machine.allowance.arrive(now);
            self.reserve.arrive(now);
            self.gate.arrive_beside()
        } else {
            self.gate.arrive(now)
        };
        if !matches!(verdict, Admission::Refuse(_)) {
            of_machine.open += 1;
        }
        verdict
    }

    /// A stream that was served has ended.
    pub(super) fn leave(&mut self, machine: Option<Machine>) {
        self.gate.leave();
        if let Some(of_machine) = machine.and_then(|machine| self.machines.get_mut(&machine)) {
            of_machine.open = of_machine.open.saturating_sub(1);
        }
    }

    /// Forgets machines without streams, whose allowance is whole again.
    fn prune(&mut self, now: Instant) {
        if self.machines.len() < self.prune_at {
            return;
        }
        let quiet = SECOND * 2;
        self.machines.retain(|_, one| one.open > 0 || now.saturating_duration_since(one.seen) < quiet);
        self.prune_at = self.machines.len() * 2 + MOST_FORGOTTEN;
    }
}

/// A part of a rate, but at least one; 0, for no limit, of no limit.
fn part(per_second: u32, divisor: u32) -> u32 {
    if per_second == 0 { 0 } else { (per_second / divisor).max(1) }
}

const SECOND: Duration = Duration::from_secs(1);
/// The reserve's part of the rate, beside the rate.
const RESERVE: u32 = 2;
/// A machine's part of the rate that it gets from the reserve.
const ALLOWANCE: u32 = 50;
const MOST_FORGOTTEN: usize = 1024;

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn machine(number: u32) -> Option<Machine> {
        Some(Machine::of(Ipv4Addr::from(number).into()))
    }

    fn lanes(max_streams: usize, per_second: u32) -> Lanes {
        Lanes::new(StreamLimits { max_streams, per_second })
    }

    #[test]
    fn client_with_few_streams_does_not_wait_for_one_with_many() {
        let (mut lanes, begin) = (lanes(100_000, 500), Instant::now());
        let mut refused_in_all = 0;
        for tenth in 0..100 {
            let now = begin + SECOND / 10 * tenth;
            let refused = (0..880)
                .filter(|_| matches!(lanes.arrive(now, machine(1)), Admission::Refuse(Reason::TooFast)));
            refused_in_all += refused.count();
            assert_eq!(lanes.arrive(now, machine(2)), Admission::Enter, "{tenth}");
        }
        assert!(refused_in_all > 70_000, "{refused_in_all}");
    }

    #[test]
    fn crowd_of_clients_is_still_paced() {
        let (mut lanes, now) = (lanes(100_000, 500), Instant::now());
        let entered = (0..4000).filter(|number| lanes.arrive(now, machine(*number)) == Admission::Enter);
        assert_eq!(entered.count(), 750, "a second's worth, and the reserve");
    }

    #[test]
    fn machine_has_no_more_than_its_share_of_streams() {
        let (mut lanes, now) = (lanes(20, 0), Instant::now());
        assert!((0..18).all(|_| lanes.arrive(now, machine(1)) == Admission::Enter));
        assert_eq!(lanes.arrive(now, machine(1)), Admission::Refuse(Reason::TooManyOfMachine));
        assert_eq!([lanes.arrive(now, machine(2)), lanes.arrive(now, machine(2))], [Admission::Enter; 2]);
        assert_eq!(lanes.arrive(now, machine(2)), Admission::Refuse(Reason::TooMany));
        lanes.leave(machine(1));
        assert_eq!(lanes.arrive(now, machine(1)), Admission::Enter);
    }

    #[test]
    fn machines_that_are_gone_are_forgotten() {
        let (mut lanes, begin) = (lanes(usize::MAX, 0), Instant::now());
        lanes.arrive(begin, machine(0));
        for number in 1..100_000 {
            let now = begin + SECOND / 100 * number;
            lanes.arrive(now, machine(number));
            lanes.leave(machine(number));
        }
        assert!(lanes.machines.len() < 3000, "{}", lanes.machines.len());
        assert!(lanes.machines.contains_key(&machine(0).unwrap()), "it has a stream");
    }
}
