//! The metrics as instruments of OpenTelemetry.

use opentelemetry::KeyValue;
use opentelemetry::metrics::{AsyncInstrument, Meter};

use super::family::{FAMILIES, Family};
use super::{MetricKind, Point};
use crate::client::{WeakXdsClient, XdsClient};

impl XdsClient {
    /// Registers observable instruments for [`metrics`](Self::metrics), which are read whenever the meter's provider
    /// collects. They do not keep the client alive; after its end they show nothing. Call it once for each client:
    /// two clients on one meter would overwrite each other's values.
    pub fn observe(&self, meter: &Meter) {
        for family in &FAMILIES {
            observe(self.downgrade(), family, meter);
        }
    }
}

/// The provider keeps the callback, so the instrument itself can be dropped.
fn observe(client: WeakXdsClient, family: &'static Family, meter: &Meter) {
    let Family { name, description, unit, kind, read } = *family;
    let callback = move |instrument: &dyn AsyncInstrument<u64>| {
        let Some(client) = client.upgrade() else { return };
        for Point { labels, value } in read(&client.status()) {
            let labels = labels.into_iter().map(|(label, of)| KeyValue::new(label, of));
            instrument.observe(value, &labels.collect::<Vec<_>>());
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
