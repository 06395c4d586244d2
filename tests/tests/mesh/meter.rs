//! A provider of OpenTelemetry's, which is asked by hand what it has measured.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::metrics::{Meter, MeterProvider};
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::metrics::data::{AggregatedMetrics, HistogramDataPoint, MetricData, ResourceMetrics};
use opentelemetry_sdk::metrics::exporter::PushMetricExporter;
use opentelemetry_sdk::metrics::{PeriodicReader, SdkMeterProvider, Temporality};
use tests::eventually;

/// One series of a metric.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Series {
    pub(crate) unit: String,
    /// How often something was measured; of a counter its value.
    pub(crate) count: u64,
    pub(crate) sum: f64,
    pub(crate) bounds: Vec<f64>,
}

/// The series of what was collected last, by `name{label=value,..}`.
pub(crate) type Seen = BTreeMap<String, Series>;

#[derive(Debug, Clone, Default)]
struct Exporter(Arc<Mutex<Seen>>);

impl PushMetricExporter for Exporter {
    async fn export(&self, metrics: &ResourceMetrics) -> OTelSdkResult {
        let mut seen = Seen::new();
        for metric in metrics.scope_metrics().flat_map(|scope| scope.metrics()) {
            let mut add = |labels: &mut dyn Iterator<Item = &KeyValue>, count, sum, bounds| {
                let mut labels: Vec<_> =
                    labels.map(|label| format!("{}={}", label.key, label.value)).collect();
                labels.sort();
                let series = Series { unit: metric.unit().to_owned(), count, sum, bounds };
                seen.insert(format!("{}{{{}}}", metric.name(), labels.join(",")), series);
            };
            match metric.data() {
                AggregatedMetrics::U64(MetricData::Sum(sum)) => {
                    sum.data_points().for_each(|of| add(&mut of.attributes(), of.value(), 0.0, Vec::new()));
                }
                AggregatedMetrics::U64(MetricData::Histogram(sizes)) => sizes.data_points().for_each(|of| {
                    add(&mut of.attributes(), of.count(), to_float(of.sum()), bounds(of));
                }),
                AggregatedMetrics::F64(MetricData::Histogram(durations)) => durations
                    .data_points()
                    .for_each(|of| add(&mut of.attributes(), of.count(), of.sum(), bounds(of))),
                other => panic!("{}: {other:?}", metric.name()),
            }
        }
        *self.0.lock().expect("no panic") = seen;
        Ok(())
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }

    fn temporality(&self) -> Temporality {
        Temporality::Cumulative
    }
}

fn bounds<T: Copy>(point: &HistogramDataPoint<T>) -> Vec<f64> {
    point.bounds().collect()
}

pub(crate) fn to_float(bytes: u64) -> f64 {
    f64::from(u32::try_from(bytes).unwrap())
}

/// A provider that is asked by hand.
pub(crate) struct Provider {
    exporter: Exporter,
    provider: SdkMeterProvider,
}

impl Provider {
    pub(crate) fn new() -> Self {
        let exporter = Exporter::default();
        let reader =
            PeriodicReader::builder(exporter.clone()).with_interval(Duration::from_secs(3600)).build();
        let provider = SdkMeterProvider::builder().with_reader(reader).build();
        Self { exporter, provider }
    }

    pub(crate) fn meter(&self) -> Meter {
        self.provider.meter("test")
    }

    pub(crate) fn collect(&self) -> Seen {
        self.provider.force_flush().unwrap();
        self.exporter.0.lock().unwrap().clone()
    }

    /// How often each series has measured something.
    pub(crate) fn counts(&self) -> BTreeMap<String, u64> {
        self.collect().into_iter().map(|(name, series)| (name, series.count)).collect()
    }

    pub(crate) async fn until_counts(&self, expected: &BTreeMap<String, u64>) {
        eventually("everything is measured", async || match self.counts() {
            seen if seen == *expected => Ok(()),
            seen => Err(format!("{seen:#?}, not {expected:#?}")),
        })
        .await;
    }
}
