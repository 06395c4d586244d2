//! The metrics of calls (gRFC A66).

use std::fmt;
use std::sync::Arc;

use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Histogram, Meter};

use super::instruments::{MethodFilter, duration, other, size, status};
use super::retry_metrics::RetryMetrics;
use super::{AttemptRecord, CallObserver, CallRecord, MethodKind, ObservedMethod};

/// The metrics of a mesh's calls, for [`MeshBuilder::observer`](crate::runtime::MeshBuilder::observer): instruments of the given meter,
/// with gRPC's names, labels and bounds (gRFC A66).
///
/// There is no global meter: without this a mesh measures no call. Each method and target has a series of its own in every
/// instrument, each status one more; methods that no generated code names share the series `other`.
#[derive(Clone)]
pub struct CallMetrics {
    attempts_started: Counter<u64>,
    attempt_duration: Histogram<f64>,
    sent: Histogram<u64>,
    received: Histogram<u64>,
    call_duration: Histogram<f64>,
    /// `None`: they are off.
    retries: Option<RetryMetrics>,
    shows_locality: bool,
    shows_cluster: bool,
    shows_label: bool,
    /// Which methods keep their name although no generated code names them; `None`: none.
    allows: Option<MethodFilter>,
}

impl CallMetrics {
    /// The metrics without the optional labels.
    // OB-01, OB-02, OB-04
    pub fn new(meter: &Meter) -> Self {
        let started = meter.u64_counter("grpc.client.attempt.started").with_unit("{attempt}");
        Self {
            attempts_started: started.with_description("Attempts that have begun.").build(),
            attempt_duration: duration(
                meter,
                "grpc.client.attempt.duration",
                "From the pick of an attempt's endpoint to its end.",
            ),
            sent: size(
                meter,
                "grpc.client.attempt.sent_total_compressed_message_size",
                "Bytes of all messages that an attempt has sent, compressed as they were.",
            ),
            received: size(
                meter,
                "grpc.client.attempt.rcvd_total_compressed_message_size",
                "Bytes of all messages that an attempt has received, compressed as they were.",
            ),
            call_duration: duration(
                meter,
                "grpc.client.call.duration",
                "From the start of a call until its caller has the status.",
            ),
            retries: None,
            shows_locality: false,
            shows_cluster: false,
            shows_label: false,
            allows: None,
        }
    }

    /// Adds the label `grpc.lb.locality` to what is measured at the end of attempts: the locality of the endpoint, and an empty text if
    /// there was none. Off by default.
    // OB-06
    #[must_use]
    pub fn with_locality(self) -> Self {
        Self { shows_locality: true, ..self }
    }

    /// Adds the label `grpc.lb.backend_service` to what is measured at the end of attempts: the cluster of the endpoint, and an empty
    /// text if there was none. Off by default.
    // OB-06
    #[must_use]
    pub fn with_backend_service(self) -> Self {
        Self { shows_cluster: true, ..self }
    }

    /// Measures retries, too (gRFC A96): the instruments `grpc.client.call.retries`, `grpc.client.call.transparent_retries`,
    /// `grpc.client.call.hedges` and `grpc.client.call.retry_delay` of this meter. Off by default.
    // OB-14, OB-16
    #[must_use]
    pub fn with_retries(self, meter: &Meter) -> Self {
        Self { retries: Some(RetryMetrics::new(meter)), ..self }
    }

    /// Adds the label `grpc.client.call.custom` to all metrics (gRFC A108): the [`CallLabel`](super::CallLabel) among the extensions of
    /// the call's request, and an empty text if there is none. Off by default.
    // OB-16
    #[must_use]
    pub fn with_call_label(self) -> Self {
        Self { shows_label: true, ..self }
    }

    /// Keeps the names of these methods, although no generated code names them; they are given without a leading slash. Allow only a
    /// bounded number of names: each costs memory until the end of the program.
    // OB-05
    #[must_use]
    pub fn allow_methods(self, allows: impl Fn(&str) -> bool + Send + Sync + 'static) -> Self {
        Self { allows: Some(Arc::new(allows)), ..self }
    }

    /// The labels of every metric. OB-05, SEC-09: a name that comes from anywhere is `other`.
    fn labels(&self, of: &ObservedMethod<'_>) -> Vec<KeyValue> {
        let is_shown = match of.kind {
            MethodKind::Registered => true,
            MethodKind::Generic => self.allows.as_ref().is_some_and(|allows| allows(of.method)),
        };
        let method = if is_shown { KeyValue::new("grpc.method", of.method.clone()) } else { other() };
        let mut labels = Vec::with_capacity(6);
        labels.extend([method, KeyValue::new("grpc.target", of.target.clone())]);
        if self.shows_label {
            labels.push(KeyValue::new("grpc.client.call.custom", of.label.to_owned()));
        }
        labels
    }
}

impl CallObserver for CallMetrics {
    fn attempt_started(&self, method: &ObservedMethod<'_>) {
        self.attempts_started.add(1, &self.labels(method));
    }

    fn attempt_ended(&self, attempt: &AttemptRecord<'_>) {
        let mut labels = self.labels(&attempt.method);
        labels.push(status(attempt.status));
        if self.shows_locality {
            let locality = attempt.locality.map(ToString::to_string).unwrap_or_default();
            labels.push(KeyValue::new("grpc.lb.locality", locality));
        }
        if self.shows_cluster {
            let cluster = attempt.cluster.cloned().unwrap_or_default();
            labels.push(KeyValue::new("grpc.lb.backend_service", cluster));
        }
        self.attempt_duration.record(attempt.duration.as_secs_f64(), &labels);
        self.sent.record(attempt.sent, &labels);
        self.received.record(attempt.received, &labels);
    }

    fn call_ended(&self, call: &CallRecord<'_>) {
        let mut labels = self.labels(&call.method);
        if let Some(retries) = &self.retries {
            retries.record(&call.counts, &labels);
        }
        labels.push(status(call.status));
        self.call_duration.record(call.duration.as_secs_f64(), &labels);
    }
}

impl fmt::Debug for CallMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallMetrics")
            .field("shows_locality", &self.shows_locality)
            .field("shows_cluster", &self.shows_cluster)
            .field("shows_label", &self.shows_label)
            .finish_non_exhaustive()
    }
}
