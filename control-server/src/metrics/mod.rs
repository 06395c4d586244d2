//! The server's metrics, in OpenMetrics text.

mod admission;
mod load;
mod tls;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

use crate::discovery::{ClientBrief, SyncState};
use crate::load_reports::LoadList;
use crate::resources::{ResourceKind, ResourceSet};
use crate::state::{PipelineState, Severity};

pub use admission::Refused;
pub use tls::Reload;

use admission::AdmissionMetrics;
use load::LoadMetrics;
use tls::TlsMetrics;

/// Every metric of one server; clones share them. Counters change with events, gauges when they are read.
#[derive(Debug, Clone)]
pub struct Metrics {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    registry: Registry,
    pushes: Family<TypeLabel, Counter>,
    acks: Family<TypeLabel, Counter>,
    nacks: Family<TypeLabel, Counter>,
    push_latency: Histogram,
    admission: AdmissionMetrics,
    load: LoadMetrics,
    tls: TlsMetrics,
    gauges: Gauges,
    /// Held from the first gauge to the end of the text: a gauge by label is emptied and filled again.
    writing: Mutex<()>,
}

#[derive(Debug, Default)]
struct Gauges {
    clients: Gauge,
    nodes: Gauge,
    streams: Family<StateLabel, Gauge>,
    synced: Gauge,
    revision: Gauge,
    objects: Family<KindLabel, Gauge>,
    diagnostics: Family<SeverityLabel, Gauge>,
    waiting: Gauge,
    resources: Family<TypeLabel, Gauge>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TypeLabel {
    r#type: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct KindLabel {
    kind: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct SeverityLabel {
    severity: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StateLabel {
    state: &'static str,
}

/// The inputs of the gauges.
#[derive(Debug)]
pub struct Reading<'a> {
    /// Connected clients.
    pub clients: &'a [ClientBrief],
    /// The state of the configuration.
    pub state: &'a PipelineState,
    /// What is served.
    pub resources: &'a ResourceSet,
    /// The load that clients report.
    pub load: &'a LoadList,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("control_server");
        let (pushes, acks, nacks) = (by_type(), by_type(), by_type());
        let push_latency = Histogram::new(LATENCY_BUCKETS);
        let gauges = Gauges::default();
        registry.register(
            "build",
            "The version that runs",
            Info::new(vec![("version", env!("CARGO_PKG_VERSION"))]),
        );
        registry.register("pushes", "Responses sent, by resource type", pushes.clone());
        registry.register("acks", "Responses that clients accepted, by resource type", acks.clone());
        registry.register("nacks", "Responses that clients refused, by resource type", nacks.clone());
        registry.register_with_unit(
            "push_latency",
            "From a revision's publication to a client's ACK",
            Unit::Seconds,
            push_latency.clone(),
        );
        gauges.register(&mut registry);
        let admission = AdmissionMetrics::register(&mut registry);
        let (load, tls) = (LoadMetrics::register(&mut registry), TlsMetrics::register(&mut registry));
        Self {
            inner: Arc::new(Inner {
                registry,
                pushes,
                acks,
                nacks,
                push_latency,
                admission,
                load,
                tls,
                gauges,
                writing: Mutex::default(),
            }),
        }
    }
}

impl Metrics {
    /// Counts a response.
    pub fn pushed(&self, kind: ResourceKind) {
        self.inner.pushes.get_or_create(&type_label(kind)).inc();
    }

    /// Counts an ACK; with a latency if a revision caused the response.
    pub fn acked(&self, kind: ResourceKind, latency: Option<Duration>) {
        self.inner.acks.get_or_create(&type_label(kind)).inc();
        if let Some(latency) = latency {
            self.inner.push_latency.observe(latency.as_secs_f64());
        }
    }

    /// Counts a NACK.
    pub fn nacked(&self, kind: ResourceKind) {
        self.inner.nacks.get_or_create(&type_label(kind)).inc();
    }

    /// All metrics as OpenMetrics text. One text is written at a time.
    ///
    /// # Errors
    /// Only if the text cannot be written.
    pub fn text(&self, reading: &Reading<'_>) -> Result<String, std::fmt::Error> {
        let _writing = self.inner.writing.lock().unwrap_or_else(PoisonError::into_inner);
        self.inner.gauges.set(reading);
        self.inner.load.keep(|cluster| reading.resources.get(ResourceKind::Cluster, cluster).is_some());
        self.inner.load.set(reading.load);
        let mut text = String::new();
        text::encode(&mut text, &self.inner.registry)?;
        Ok(text)
    }
}

impl Gauges {
    fn register(&self, registry: &mut Registry) {
        registry.register("clients", "Connected clients: open ADS streams", self.clients.clone());
        registry.register("nodes", "Distinct xDS nodes of the connected clients", self.nodes.clone());
        registry.register("streams", "Open ADS streams, by state", self.streams.clone());
        registry.register("synced", "1 once every source has delivered its first set", self.synced.clone());
        registry.register("config_revision", "The revision that is served", self.revision.clone());
        registry.register("objects", "Accepted configuration objects, by kind", self.objects.clone());
        registry.register("diagnostics", "Configuration problems, by severity", self.diagnostics.clone());
        registry.register(
            "waiting_objects",
            "Objects of a change that waits for an operator's approval, because it removes much",
            self.waiting.clone(),
        );
        registry.register("resources", "Resources that are served, by type", self.resources.clone());
    }

    fn set(&self, reading: &Reading<'_>) {
        let nodes: std::collections::HashSet<_> = reading
            .clients
            .iter()
            .map(|client| (&client.node_id, client.node_id.is_empty().then_some(client.id)))
            .collect();
        self.clients.set(count(reading.clients.len()));
        self.nodes.set(count(nodes.len()));
        let states = [
            (SyncState::Synced, "synced"),
            (SyncState::Missing, "missing"),
            (SyncState::Pending, "pending"),
            (SyncState::Nacked, "nacked"),
        ];
        for (state, label) in states {
            let streams = reading.clients.iter().filter(|client| client.state == state).count();
            self.streams.get_or_create(&StateLabel { state: label }).set(count(streams));
        }
        self.synced.set(i64::from(reading.state.synced));
        self.revision.set(i64::try_from(reading.state.revision).unwrap_or(i64::MAX));
        self.objects.clear();
        for object in reading.state.objects.iter() {
            self.objects.get_or_create(&KindLabel { kind: object.kind.clone() }).inc();
        }
        for (severity, label) in
            [(Severity::Error, "error"), (Severity::Warning, "warning"), (Severity::Info, "info")]
        {
            let found = reading.state.diagnostics.iter().filter(|found| found.severity == severity).count();
            self.diagnostics.get_or_create(&SeverityLabel { severity: label }).set(count(found));
        }
        self.waiting.set(reading.state.waiting.as_ref().map_or(0, |waiting| count(waiting.objects)));
        for kind in ResourceKind::ALL {
            let resources = reading.resources.count(kind);
            self.resources.get_or_create(&type_label(kind)).set(count(resources));
        }
    }
}

/// A counter per type, with 0 from the start: otherwise the first increase would not be seen.
fn by_type() -> Family<TypeLabel, Counter> {
    let counters = Family::<TypeLabel, Counter>::default();
    for kind in ResourceKind::ALL {
        drop(counters.get_or_create(&type_label(kind)));
    }
    counters
}

fn type_label(kind: ResourceKind) -> TypeLabel {
    TypeLabel { r#type: kind.short_name() }
}

fn count(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// Seconds.
const LATENCY_BUCKETS: [f64; 12] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0];

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::load_reports::{ClusterLoad, Rates};
    use crate::state::ObjectStatus;

    /// The load of one cluster under two EDS services: its metrics have the sum.
    fn load() -> LoadList {
        let cluster = |index: usize, service: &str| ClusterLoad {
            cluster: format!("c{index}"),
            service: service.to_owned(),
            reporters: 1,
            rates: Rates { success_per_second: 1.0, in_progress: 1, ..Rates::default() },
            dropped_per_second: 0.0,
            drops: BTreeMap::new(),
            localities: vec![],
            by_reporter: None,
        };
        let clusters = (0..50).flat_map(|index| ["", "other"].map(|service| cluster(index, service)));
        LoadList { interval_seconds: 10.0, reporters: 1, clusters: clusters.collect() }
    }

    #[test]
    fn concurrent_readers_see_the_same_figures() {
        let (metrics, load, resources) = (Metrics::default(), load(), ResourceSet::default());
        let object = ObjectStatus {
            kind: "ServiceEntry".to_owned(),
            namespace: String::new(),
            name: String::new(),
            file: String::new(),
            line: 1,
            stale: false,
        };
        let state = PipelineState { objects: vec![object; 50].into(), ..PipelineState::default() };
        let text = || {
            let reading = Reading { clients: &[], state: &state, resources: &resources, load: &load };
            let text = metrics.text(&reading).unwrap();
            let mut lines: Vec<_> = text.lines().map(str::to_owned).collect();
            lines.sort_unstable();
            lines
        };
        let alone = text();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    (0..50).for_each(|_| assert!(text() == alone, "not the figures that one reader sees"))
                });
            }
        });
    }
}
