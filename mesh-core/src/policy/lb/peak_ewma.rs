//! The endpoint with the lowest expected latency, of two random ones (peak EWMA, as in Finagle and Linkerd).

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use rand::{Rng, RngExt};

use crate::config;

use super::connect_all::Spread;
use super::latency::Moment;
use super::load::FULL_SHARE;
use super::random::draw_different;
use super::ready::ReadyTable;
use super::{EndpointLoad, Pick, PickContext, Picker};

/// Of two random endpoints the one whose latency times the calls that it would then have in flight is less.
#[derive(Debug)]
pub(super) struct PeakEwma {
    decay: Duration,
    /// The last time at which averages without calls fell, and the next.
    fallen: Option<(Instant, Instant)>,
}

impl PeakEwma {
    pub(super) fn new(settings: &config::PeakEwma) -> Self {
        Self { decay: settings.decay.max(SHORTEST_DECAY), fallen: None }
    }
}

impl Spread for PeakEwma {
    fn picker(&self, ready: ReadyTable) -> Arc<dyn Picker> {
        Arc::new(PeakEwmaPicker(ready))
    }

    fn on_ready(&mut self, now: Instant) {
        let step = self.decay / 10;
        self.fallen.get_or_insert((now, now + step));
    }

    fn next_deadline(&self) -> Option<Instant> {
        Some(self.fallen?.1)
    }

    /// Averages of endpoints without calls fall, so that they get calls again. Without any calls this happens less often.
    fn on_deadline(&mut self, now: Instant, ready: &ReadyTable) {
        let Some((last, due)) = self.fallen.filter(|(_, due)| *due <= now) else { return };
        let (then, moment) = (Moment::of(last), Moment::of(now));
        let mut is_in_use = false;
        for (_, load) in (0..ready.len()).filter_map(|place| ready.get(place)) {
            is_in_use |= load.latency.decay(moment, then, self.decay);
        }
        let step = if is_in_use { self.decay / 10 } else { ((due - last) * 2).min(self.decay) };
        self.fallen = (ready.len() > 0).then_some((now, now + step));
    }
}

#[derive(Debug)]
struct PeakEwmaPicker(ReadyTable);

impl Picker for PeakEwmaPicker {
    fn pick(&self, _: &PickContext<'_>, rng: &mut dyn Rng) -> Pick {
        let (mut drawn, mut count) = ([None; 2], 0);
        draw_different(self.0.len(), drawn.len(), rng, |place| {
            drawn[count] = self.0.get(place);
            count += 1;
        });
        let chosen = match drawn {
            [Some(one), Some(other)] => match (is_grown(&one.1, rng), is_grown(&other.1, rng)) {
                (true, false) => Some(one),
                (false, true) => Some(other),
                (true, true) | (false, false) if cost(&other.1) < cost(&one.1) => Some(other),
                (true, true) | (false, false) => Some(one),
            },
            [one, other] => one.or(other),
        };
        chosen.map_or(Pick::Wait(None), |(id, _)| Pick::Endpoint(*id))
    }
}

/// The time that a further call is expected to take. An endpoint of which nothing is known gets one call, and no other before its
/// answer if there is a choice.
#[inline]
fn cost(load: &EndpointLoad) -> f32 {
    let calls = load.in_flight.load(Ordering::Relaxed) as f32;
    match load.latency.seconds() {
        Some(seconds) => seconds * (calls + 1.0),
        None => calls * UNKNOWN,
    }
}

/// LB-51: an endpoint in slow start stands for election as often as its share says.
#[inline]
fn is_grown(load: &EndpointLoad, rng: &mut dyn Rng) -> bool {
    let share = load.share.get();
    share >= FULL_SHARE || rng.random_range(0..FULL_SHARE) < share
}

/// In seconds: more than any call takes.
const UNKNOWN: f32 = 1e6;
const SHORTEST_DECAY: Duration = Duration::from_millis(100);
