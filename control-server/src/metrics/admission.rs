//! Metrics of new connections and streams.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

use super::Metrics;

#[derive(Debug, Default)]
pub(super) struct AdmissionMetrics {
    delayed: Counter,
    refused: Family<ReasonLabel, Counter>,
    refused_connections: Counter,
    aged: Counter,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReasonLabel {
    reason: &'static str,
}

/// Why a stream was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// The maximum of streams is reached.
    TooMany,
    /// New streams come faster than the limit.
    TooFast,
}

impl AdmissionMetrics {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        for reason in [Refused::TooMany, Refused::TooFast] {
            drop(metrics.refused.get_or_create(&label(reason)));
        }
        registry.register("streams_delayed", "New streams that had to wait", metrics.delayed.clone());
        registry.register(
            "streams_refused",
            "New streams that were refused, by reason",
            metrics.refused.clone(),
        );
        registry.register(
            "connections_refused",
            "Connections closed because there were too many",
            metrics.refused_connections.clone(),
        );
        registry.register(
            "connections_aged",
            "Connections that reached their maximum age",
            metrics.aged.clone(),
        );
        metrics
    }
}

impl Metrics {
    /// Counts a stream that has to wait.
    pub fn stream_delayed(&self) {
        self.inner.admission.delayed.inc();
    }

    /// Counts a stream that is refused.
    pub fn stream_refused(&self, reason: Refused) {
        self.inner.admission.refused.get_or_create(&label(reason)).inc();
    }

    /// Counts a connection that is closed at once.
    pub fn connection_refused(&self) {
        self.inner.admission.refused_connections.inc();
    }

    /// Counts a connection that has reached its maximum age.
    pub fn connection_aged(&self) {
        self.inner.admission.aged.inc();
    }
}

fn label(reason: Refused) -> ReasonLabel {
    ReasonLabel {
        reason: match reason {
            Refused::TooMany => "max_streams",
            Refused::TooFast => "max_stream_rate",
        },
    }
}
