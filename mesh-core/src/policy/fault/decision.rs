//! What happens to one call.

use std::str::FromStr;
use std::time::Duration;

use http::HeaderMap;
use rand::Rng;

use super::{Abort, AbortSource, AbortStatus, Delay, DelaySource, FaultPolicy, MaxActiveFaults};

/// What happens to one call.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Faults {
    pub(crate) delay: Option<Duration>,
    /// After the delay.
    pub(crate) abort: Option<AbortStatus>,
}

impl Faults {
    pub(crate) fn is_none(self) -> bool {
        self == Self::default()
    }
}

impl FaultPolicy {
    /// Whether some call can have a fault at all.
    pub(crate) fn can_fire(&self) -> bool {
        let delay = self.delay.is_some_and(|delay| !delay.percentage.is_zero());
        let abort = self.abort.is_some_and(|abort| !abort.percentage.is_zero());
        // HF-15: a limit of zero calls allows no fault
        (delay || abort) && self.max_active_faults != Some(MaxActiveFaults(0))
    }

    /// What happens to a call with these headers: one draw for the delay, another one for the abort (HF-11).
    pub(crate) fn decide(&self, headers: &HeaderMap, rng: &mut dyn Rng) -> Faults {
        let delay = self.delay.and_then(|delay| delay.decide(headers, rng));
        let abort = self.abort.and_then(|abort| abort.decide(headers, rng));
        Faults { delay, abort }
    }
}

impl Delay {
    fn decide(self, headers: &HeaderMap, rng: &mut dyn Rng) -> Option<Duration> {
        let (duration, cap) = match self.source {
            DelaySource::Fixed(duration) => (duration, None),
            DelaySource::Headers => {
                let millis = number(headers, "x-envoy-fault-delay-request")?;
                let cap = number(headers, "x-envoy-fault-delay-request-percentage");
                (Duration::from_millis(millis), cap)
            }
        };
        (!duration.is_zero() && self.percentage.capped_at(cap).draw(rng)).then_some(duration)
    }
}

impl Abort {
    fn decide(self, headers: &HeaderMap, rng: &mut dyn Rng) -> Option<AbortStatus> {
        let (status, cap) = match self.source {
            AbortSource::Status(status) => (status, None),
            AbortSource::Headers => {
                let http = || number(headers, "x-envoy-fault-abort-request").and_then(AbortStatus::http);
                let grpc = || number(headers, "x-envoy-fault-abort-grpc-request").map(AbortStatus::Grpc);
                let cap = number(headers, "x-envoy-fault-abort-request-percentage");
                (http().or_else(grpc)?, cap)
            }
        };
        self.percentage.capped_at(cap).draw(rng).then_some(status)
    }
}

/// HF-12: a value that is no number counts as absent. Of several values the first counts.
fn number<T: FromStr>(headers: &HeaderMap, name: &str) -> Option<T> {
    headers.get(name)?.to_str().ok()?.trim().parse().ok()
}
