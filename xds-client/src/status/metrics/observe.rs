//! The metrics as instruments of OpenTelemetry.

use mesh_core::counters::{self, CounterFamily};
use opentelemetry::KeyValue;
use opentelemetry::metrics::{AsyncInstrument, Meter};

use super::family::{FAMILIES, Family, of_counter};
use super::{MetricKind, Point};
use crate::client::{WeakXdsClient, XdsClient};

impl XdsClient {
    /// Registers observable instruments for [`metrics`](Self::metrics), which are read whenever the meter's provider
    /// collects. They do not keep the client alive; after its end they show nothing. Call it once for each client:
    /// two clients on one meter would overwrite each other's values. Counters of your own filters are only in `metrics`.
    pub fn observe(&self, meter: &Meter) {
        for family in &FAMILIES {
            observe(self.downgrade(), family, meter);
        }
        for family in counters::FAMILIES {
            observe_counters(self.downgrade(), family, meter);
        }
    }
}

/// As [`observe`], for what the mesh counts.
fn observe_counters(client: WeakXdsClient, family: &'static CounterFamily, meter: &Meter) {
    let instrument = meter.u64_observable_counter(family.name);
    let callback = move |instrument: &dyn AsyncInstrument<u64>| {
        let Some(client) = client.upgrade() else { return };
        let status = client.status();
        for counter in status.counters.iter().filter(|counter| counter.family.name == family.name) {
            show(instrument, of_counter(counter));
        }
    };
    let instrument = instrument.with_description(family.description).with_unit(family.unit);
    _ = instrument.with_callback(callback).build();
}

fn show(instrument: &dyn AsyncInstrument<u64>, point: Point) {
    let labels = point.labels.into_iter().map(|(label, of)| KeyValue::new(label, of));
    instrument.observe(point.value, &labels.collect::<Vec<_>>());
}

/// The provider keeps the callback, so the instrument itself can be dropped.
fn observe(client: WeakXdsClient, family: &'static Family, meter: &Meter) {
    let Family { name, description, unit, kind, read } = *family;
    let callback = move |instrument: &dyn AsyncInstrument<u64>| {
        let Some(client) = client.upgrade() else { return };
        for point in read(&client.status()) {
            show(instrument, point);
        }
    };
    match kind {
        MetricKind::Gauge => {
            let instrument = meter.u64_observable_gauge(name);
            _ = instrument.with_description(description).with_unit(unit).with_callback(callback).build();
        }
        MetricKind::Counter => {
            let instrument = meter.u64_observable_counter(name);
            _ = instrument.with_description(description).with_unit(unit).with_callback(callback).build();
        }
    }
}
