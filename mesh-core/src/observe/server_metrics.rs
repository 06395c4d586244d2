//! The metrics of a server's calls (gRFC A66).

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Histogram, Meter};

use crate::config::Name;
use crate::runtime::CallKind;

use super::instruments::{MethodFilter, duration, other, size, status};
use super::{ServedCall, ServedRecord, ServerObserver};

/// The metrics of the gRPC calls of servers, for [`ServerBuilder::observer`](crate::runtime::server::ServerBuilder::observer):
/// instruments of the given meter, with gRPC's names, labels and bounds (gRFC A66). Other requests of HTTP are not measured.
///
/// There is no global meter: without this a server measures no call. A client may name any method, so only methods that are known
/// keep their names, and all others share the series `other`: [`with_methods`](Self::with_methods) tells which the server has.
#[derive(Clone)]
pub struct ServerMetrics {
    started: Counter<u64>,
    duration: Histogram<f64>,
    sent: Histogram<u64>,
    received: Histogram<u64>,
    methods: HashSet<Name>,
    /// Which others keep their names; `None`: none.
    allows: Option<MethodFilter>,
}

impl ServerMetrics {
    /// The metrics of a server whose methods are not known.
    // OB-03, OB-04
    pub fn new(meter: &Meter) -> Self {
        let started = meter.u64_counter("grpc.server.call.started").with_unit("{call}");
        Self {
            started: started.with_description("Calls that have come.").build(),
            duration: duration(
                meter,
                "grpc.server.call.duration",
                "From the head of a call's request to the end of its response.",
            ),
            sent: size(
                meter,
                "grpc.server.call.sent_total_compressed_message_size",
                "Bytes of all messages that a call has sent, compressed as they were.",
            ),
            received: size(
                meter,
                "grpc.server.call.rcvd_total_compressed_message_size",
                "Bytes of all messages that a call has received, compressed as they were.",
            ),
            methods: HashSet::new(),
            allows: None,
        }
    }

    /// These methods keep their names, also those of earlier calls; they are given without a leading slash.
    // OB-05
    #[must_use]
    pub fn with_methods(mut self, methods: impl IntoIterator<Item = impl Into<Name>>) -> Self {
        self.methods.extend(methods.into_iter().map(Into::into));
        self
    }

    /// Keeps the names of these methods, too; they are given without a leading slash. Clients make names up: allow only a bounded
    /// number, since each costs memory until the end of the program.
    // OB-05
    #[must_use]
    pub fn allow_methods(self, allows: impl Fn(&str) -> bool + Send + Sync + 'static) -> Self {
        Self { allows: Some(Arc::new(allows)), ..self }
    }

    /// OB-05, SEC-09: `other`, unless the name is known.
    fn method(&self, of: &Name) -> KeyValue {
        let is_shown = self.methods.contains(of) || self.allows.as_ref().is_some_and(|allows| allows(of));
        if is_shown { KeyValue::new("grpc.method", of.clone()) } else { other() }
    }
}

impl ServerObserver for ServerMetrics {
    fn call_started(&self, call: &ServedCall<'_>) {
        if call.kind == CallKind::Grpc {
            self.started.add(1, &[self.method(call.method)]);
        }
    }

    fn call_ended(&self, ended: &ServedRecord<'_>) {
        if ended.call.kind != CallKind::Grpc {
            return;
        }
        let labels = [self.method(ended.call.method), status(ended.status)];
        self.duration.record(ended.duration.as_secs_f64(), &labels);
        self.sent.record(ended.sent, &labels);
        if let Some(received) = ended.received {
            self.received.record(received, &labels);
        }
    }
}

impl fmt::Debug for ServerMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerMetrics").field("methods", &self.methods).finish_non_exhaustive()
    }
}
