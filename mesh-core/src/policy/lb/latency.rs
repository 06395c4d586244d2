//! The latency of an endpoint, as a moving average that follows peaks at once.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// The latency of an endpoint's calls: an exponentially weighted moving average by time, except that a call that took longer counts
/// at once (peak EWMA, as in Finagle). Each failure doubles it for a while. Written by the request path, read by pickers.
#[derive(Debug, Default)]
pub(crate) struct Latency {
    /// A [`Reading`]: the time in the upper half, then the upper 24 bits of the average, then the doublings in sixteenths.
    packed: AtomicU64,
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Reading {
    /// When it last changed.
    at: Moment,
    /// In seconds; 0: nothing is known.
    average: f32,
    /// How often failures have doubled the average. They fade evenly: ten of them within the decay time.
    doublings: f32,
}

/// Times are relative to an arbitrary moment of the process.
static EPOCH: OnceLock<Instant> = OnceLock::new();

/// The unit in which times are kept: they repeat after twelve hours.
const TICK: Duration = Duration::from_micros(10);

/// A moment, in [`TICK`]s.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Moment(u32);

impl Moment {
    pub(crate) fn of(now: Instant) -> Self {
        let since = now.saturating_duration_since(*EPOCH.get_or_init(|| now));
        Self((since.as_micros() / TICK.as_micros()) as u32)
    }

    /// The time from an earlier moment to this one.
    pub(crate) fn since(self, earlier: Self) -> Duration {
        TICK * self.0.wrapping_sub(earlier.0)
    }
}

impl Latency {
    /// The latency to expect, in seconds; `None`: nothing is known.
    #[inline]
    pub(crate) fn seconds(&self) -> Option<f32> {
        let Reading { average, doublings, .. } = Reading::unpack(self.packed.load(Ordering::Relaxed));
        let factor = if doublings == 0.0 { 1.0 } else { doublings.exp2() };
        (average > 0.0).then_some(average * factor)
    }

    /// A call took this long.
    pub(crate) fn observe(&self, now: Moment, took: Duration, decay: Duration) {
        let took = took.as_secs_f32().max(LEAST);
        self.change(|reading| {
            let kept = if took >= reading.average { 0.0 } else { kept(now.since(reading.at), decay) };
            let average = reading.average * kept + took * (1.0 - kept);
            Reading { average, ..reading.at(now, decay) }
        });
    }

    /// A call failed, after this time. `retry_after`: how long the endpoint wants to be left alone.
    pub(crate) fn observe_failure(
        &self,
        now: Moment,
        took: Duration,
        retry_after: Option<Duration>,
        decay: Duration,
    ) {
        let fading = retry_after.map_or(0.0, |pause| DOUBLINGS * pause.as_secs_f32() / seconds_of(decay));
        self.change(|reading| {
            let average = reading.average.max(took.as_secs_f32()).max(LEAST_OF_FAILURE);
            let reading = reading.at(now, decay);
            let doublings = (reading.doublings + 1.0).min(DOUBLINGS).max(fading.min(MOST_DOUBLINGS));
            Reading { average, doublings, ..reading }
        });
    }

    /// Lets the average fall if no call has changed it since this moment. Returns whether one has.
    pub(super) fn decay(&self, now: Moment, since: Moment, decay: Duration) -> bool {
        let mut is_in_use = false;
        self.change(|reading| {
            is_in_use = now.since(reading.at) < now.since(since);
            if is_in_use || reading.average == 0.0 {
                return reading;
            }
            let average = reading.average * kept(now.since(since), decay);
            let Reading { doublings, .. } = Reading { at: since, ..reading }.at(now, decay);
            Reading { at: since, average: if average < FORGOTTEN { 0.0 } else { average }, doublings }
        });
        is_in_use
    }

    fn change(&self, mut change: impl FnMut(Reading) -> Reading) {
        let _ = self.packed.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |packed| {
            Some(change(Reading::unpack(packed)).pack())
        });
    }
}

impl Reading {
    fn unpack(packed: u64) -> Self {
        Self {
            at: Moment((packed >> 32) as u32),
            average: f32::from_bits(packed as u32 & !0xff),
            doublings: f32::from(packed as u8) / SIXTEENTHS,
        }
    }

    fn pack(self) -> u64 {
        let average = self.average.to_bits() & !0xff;
        let doublings = (self.doublings * SIXTEENTHS).round().clamp(0.0, 255.0) as u32;
        u64::from(self.at.0) << 32 | u64::from(average | doublings)
    }

    /// The same, with the doublings that are left now.
    fn at(self, now: Moment, decay: Duration) -> Self {
        let faded = DOUBLINGS * now.since(self.at).as_secs_f32() / seconds_of(decay);
        Self { at: now, doublings: (self.doublings - faded).max(0.0), ..self }
    }
}

fn seconds_of(decay: Duration) -> f32 {
    decay.as_secs_f32().max(LEAST)
}

/// The part of an average that is left after this time.
fn kept(time: Duration, decay: Duration) -> f32 {
    (-time.as_secs_f32() / seconds_of(decay)).exp()
}

/// No call takes less, in seconds.
const LEAST: f32 = 1e-6;
/// A failure takes at least this long.
const LEAST_OF_FAILURE: f32 = 1e-3;
/// So many doublings failures lead to, and so many fade within the decay time.
const DOUBLINGS: f32 = 10.0;
/// So many doublings an endpoint may ask for.
const MOST_DOUBLINGS: f32 = 15.9;
const SIXTEENTHS: f32 = 16.0;
/// An average below this says nothing any more.
const FORGOTTEN: f32 = 1e-5;

#[cfg(test)]
mod tests {
    use super::*;

    const DECAY: Duration = Duration::from_secs(10);

    fn milliseconds(latency: &Latency) -> u32 {
        (latency.seconds().unwrap_or(0.0) * 1_000.0).round() as u32
    }

    #[test]
    fn peaks_count_at_once_and_fall_by_time() {
        let (latency, begin) = (Latency::default(), Instant::now());
        let at = |seconds| Moment::of(begin + Duration::from_secs(seconds));
        let observe = |seconds, millis| latency.observe(at(seconds), Duration::from_millis(millis), DECAY);
        assert_eq!(latency.seconds(), None);
        observe(0, 20);
        assert_eq!(milliseconds(&latency), 20);
        observe(0, 500);
        assert_eq!(milliseconds(&latency), 500);
        observe(10, 20);
        assert_eq!(milliseconds(&latency), 197, "a call ten seconds later counts for 1 - 1/e");
        observe(60, 20);
        assert_eq!(milliseconds(&latency), 21);
    }

    #[test]
    fn failures_double_the_latency_for_a_while() {
        let (latency, begin) = (Latency::default(), Instant::now());
        let at = |millis| Moment::of(begin + Duration::from_millis(millis));
        let fail = |when, retry_after: Option<u64>| {
            let retry_after = retry_after.map(Duration::from_secs);
            latency.observe_failure(at(when), Duration::from_millis(1), retry_after, DECAY);
            milliseconds(&latency)
        };
        assert_eq!([fail(0, None), fail(0, None), fail(0, None)], [2, 4, 8]);
        assert_eq!(fail(2_000, None), 4, "two have faded, and one has come");
        assert_eq!((0..30).map(|_| fail(2_000, None)).max(), Some(1_024), "no more than a thousand times");
        latency.observe(at(7_000), Duration::from_millis(1), DECAY);
        assert_eq!(milliseconds(&latency), 32, "half of them have faded");
        latency.observe(at(12_000), Duration::from_millis(1), DECAY);
        assert_eq!(milliseconds(&latency), 1);
        assert_eq!(
            fail(12_000, Some(5)),
            32,
            "they fade within the time for which it wants to be left alone"
        );
        assert!(fail(12_000, Some(3_600)) > 60_000);
    }

    #[test]
    fn average_without_calls_falls_until_it_is_forgotten() {
        let (latency, begin) = (Latency::default(), Instant::now());
        let at = |seconds| Moment::of(begin + Duration::from_secs(seconds));
        latency.observe(at(0), Duration::from_millis(100), DECAY);
        assert!(!latency.decay(at(10), at(0), DECAY));
        assert_eq!(milliseconds(&latency), 37);
        latency.observe(at(15), Duration::from_millis(100), DECAY);
        assert!(latency.decay(at(20), at(10), DECAY), "in use");
        assert_eq!(milliseconds(&latency), 100);
        assert!(!latency.decay(at(220), at(20), DECAY));
        assert_eq!(latency.seconds(), None);
    }
}
