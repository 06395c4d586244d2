//! What the instruments of clients and servers have in common: bounds, and labels.

use std::sync::Arc;

use opentelemetry::KeyValue;
use opentelemetry::metrics::{Histogram, Meter};

use crate::policy::grpc_code;

/// Whether a method keeps its name.
pub(super) type MethodFilter = Arc<dyn Fn(&str) -> bool + Send + Sync>;

/// A histogram of durations in seconds.
// OB-04
pub(super) fn duration(meter: &Meter, name: &'static str, description: &'static str) -> Histogram<f64> {
    let instrument = meter.f64_histogram(name).with_description(description).with_unit("s");
    instrument.with_boundaries(LATENCIES.to_vec()).build()
}

/// A histogram of sizes in bytes.
// OB-04
pub(super) fn size(meter: &Meter, name: &'static str, description: &'static str) -> Histogram<u64> {
    let instrument = meter.u64_histogram(name).with_description(description).with_unit("By");
    instrument.with_boundaries(SIZES.to_vec()).build()
}

/// The label of methods whose names are not shown.
// OB-05
pub(super) fn other() -> KeyValue {
    KeyValue::new("grpc.method", "other")
}

/// A number that is no code of gRPC's is UNKNOWN, so that peers cannot make up labels.
// SEC-09
pub(super) fn status(code: u32) -> KeyValue {
    KeyValue::new("grpc.status", grpc_code::name(code))
}

/// The bounds of durations, in seconds.
// OB-04
const LATENCIES: [f64; 41] = [
    0.0, 0.00001, 0.00005, 0.0001, 0.0003, 0.0006, 0.0008, 0.001, 0.002, 0.003, 0.004, 0.005, 0.006, 0.008,
    0.01, 0.013, 0.016, 0.02, 0.025, 0.03, 0.04, 0.05, 0.065, 0.08, 0.1, 0.13, 0.16, 0.2, 0.25, 0.3, 0.4,
    0.5, 0.65, 0.8, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0,
];

/// The bounds of sizes, in bytes.
// OB-04
const SIZES: [f64; 14] = [
    0.0,
    1024.0,
    2048.0,
    4096.0,
    16384.0,
    65536.0,
    262_144.0,
    1_048_576.0,
    4_194_304.0,
    16_777_216.0,
    67_108_864.0,
    268_435_456.0,
    1_073_741_824.0,
    4_294_967_296.0,
];
