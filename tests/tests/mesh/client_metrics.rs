//! A client's metrics, as OpenTelemetry collects them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use mesh_core::runtime::{ConfigSource, Target};
use opentelemetry::KeyValue;
use opentelemetry::metrics::MeterProvider;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::metrics::data::{AggregatedMetrics, Metric, MetricData, ResourceMetrics};
use opentelemetry_sdk::metrics::exporter::PushMetricExporter;
use opentelemetry_sdk::metrics::{PeriodicReader, SdkMeterProvider, Temporality};
use tests::eventually;
use xds_client::bootstrap::{Bootstrap, ServerConfig};
use xds_client::transport::memory;
use xds_client::{Options, start_with};

/// What was collected last: the value of each `name{label,..}`.
type Seen = BTreeMap<String, u64>;

#[derive(Debug, Clone, Default)]
struct Exporter(Arc<Mutex<Seen>>);

impl PushMetricExporter for Exporter {
    async fn export(&self, metrics: &ResourceMetrics) -> OTelSdkResult {
        let all = metrics.scope_metrics().flat_map(|scope| scope.metrics());
        *self.0.lock().expect("no panic") = all.flat_map(points).collect();
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

fn points(metric: &Metric) -> Vec<(String, u64)> {
    let point = |labels: &mut dyn Iterator<Item = &KeyValue>, value| {
        let mut labels: Vec<_> = labels.map(|label| label.value.to_string()).collect();
        labels.sort();
        (format!("{}{{{}}}", metric.name(), labels.join(",")), value)
    };
    match metric.data() {
        AggregatedMetrics::U64(MetricData::Gauge(gauge)) => {
            gauge.data_points().map(|of| point(&mut of.attributes(), of.value())).collect()
        }
        AggregatedMetrics::U64(MetricData::Sum(sum)) => {
            assert!(sum.is_monotonic(), "{}", metric.name());
            sum.data_points().map(|of| point(&mut of.attributes(), of.value())).collect()
        }
        other => panic!("{}: {other:?}", metric.name()),
    }
}

/// Proves: OB-08.
#[tokio::test]
async fn instruments_exist_while_the_client_does() {
    let exporter = Exporter::default();
    let reader = PeriodicReader::builder(exporter.clone()).with_interval(Duration::from_secs(3600)).build();
    let provider = SdkMeterProvider::builder().with_reader(reader).build();
    let collect = || {
        // Where there is nothing to show nothing is exported.
        exporter.0.lock().unwrap().clear();
        provider.force_flush().unwrap();
        exporter.0.lock().unwrap().clone()
    };
    let (transport, server) = memory::pair();
    server.refuse("no way");
    let bootstrap = Bootstrap::builder().server(ServerConfig::insecure("control:15010")).node_id("n1");
    let client = start_with(bootstrap.build().unwrap(), transport, Options::default()).unwrap();
    client.observe(&provider.meter("test"));
    assert_eq!(collect(), Seen::new(), "nothing is watched");

    let watch = client.watch(&Target::new("greeter")).unwrap();
    let expected = [
        ("grpc.xds_client.connected{#process,control:15010}", 0),
        ("grpc.xds_client.server_failure{#process,control:15010}", 1),
        ("grpc.xds_client.resources{#old,#process,envoy.config.listener.v3.Listener,requested}", 1),
    ];
    let expected: Seen = expected.map(|(name, value)| (name.to_owned(), value)).into();
    eventually("the server's failure is counted", async || match collect() {
        seen if seen == expected => Ok(()),
        seen => Err(format!("{seen:?}")),
    })
    .await;

    drop((watch, client));
    eventually("instruments do not keep the client", async || match collect() {
        seen if seen.is_empty() => Ok(()),
        seen => Err(format!("{seen:?}")),
    })
    .await;
    provider.shutdown().unwrap();
}
