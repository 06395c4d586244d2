//! The metrics of retries (gRFC A96).

use opentelemetry::KeyValue;
use opentelemetry::metrics::{Histogram, Meter};

use super::AttemptCounts;
use super::instruments::duration;

/// How often calls were retried, and how long that delayed them.
// OB-14
#[derive(Clone)]
pub(super) struct RetryMetrics {
    retries: Histogram<u64>,
    transparent_retries: Histogram<u64>,
    hedges: Histogram<u64>,
    delay: Histogram<f64>,
}

impl RetryMetrics {
    pub(super) fn new(meter: &Meter) -> Self {
        let count = |name: &'static str, description: &'static str, unit: &'static str, bounds: &[f64]| {
            let instrument = meter.u64_histogram(name).with_description(description).with_unit(unit);
            instrument.with_boundaries(bounds.to_vec()).build()
        };
        Self {
            retries: count(
                "grpc.client.call.retries",
                "Retries of a call by its route's policy.",
                "{retry}",
                &COUNTS,
            ),
            transparent_retries: count(
                "grpc.client.call.transparent_retries",
                "Attempts of a call that repeated one that was not processed.",
                "{transparent_retry}",
                &TRANSPARENT_COUNTS,
            ),
            hedges: count("grpc.client.call.hedges", "Hedges of a call.", "{hedge}", &COUNTS),
            delay: duration(
                meter,
                "grpc.client.call.retry_delay",
                "The time between attempts of a call in which none ran.",
            ),
        }
    }

    /// A call has ended. What it had none of is not recorded.
    pub(super) fn record(&self, counts: &AttemptCounts, labels: &[KeyValue]) {
        let AttemptCounts { retries, transparent_retries, hedges, delay, .. } = *counts;
        let rows = [
            (&self.retries, retries),
            (&self.transparent_retries, transparent_retries),
            (&self.hedges, hedges),
        ];
        for (histogram, count) in rows {
            if count > 0 {
                histogram.record(count.into(), labels);
            }
        }
        if !delay.is_zero() {
            self.delay.record(delay.as_secs_f64(), labels);
        }
    }
}

const COUNTS: [f64; 5] = [1.0, 2.0, 3.0, 4.0, 5.0];

const TRANSPARENT_COUNTS: [f64; 6] = [1.0, 2.0, 3.0, 4.0, 5.0, 10.0];
