//! What calls tell those who observe them.
//!
//! A [`CallObserver`] of a mesh ([`MeshBuilder::observer`](crate::runtime::MeshBuilder::observer)) learns of every attempt and of every
//! call of the mesh's channels, a [`ServerObserver`] of every call of a server. `CallMetrics` and `ServerMetrics` make metrics of them
//! (gRFC A66), with the feature `opentelemetry`. Without an observer nothing is measured.

mod access_log;
#[cfg(feature = "opentelemetry")]
mod instruments;
#[cfg(feature = "opentelemetry")]
mod metrics;
mod record;
#[cfg(feature = "opentelemetry")]
mod retry_metrics;
mod served;
#[cfg(feature = "opentelemetry")]
mod server_metrics;
mod sizes;
#[cfg(feature = "opentelemetry")]
mod spans;
mod trace;

use std::fmt::Debug;

pub use access_log::AccessLog;
#[cfg(feature = "opentelemetry")]
pub use metrics::CallMetrics;
pub use record::{
    AttemptCounts, AttemptRecord, CallLabel, CallPlace, CallRecord, MethodKind, ObservedMethod,
};
pub(crate) use served::Traces;
pub use served::{CountedMessages, ReceivedMessages, ServedCall, ServedRecord, ServerObserver};
#[cfg(feature = "opentelemetry")]
pub use server_metrics::ServerMetrics;
pub(crate) use sizes::MessageSizes;
#[cfg(feature = "opentelemetry")]
pub use spans::CallSpans;
pub use trace::{AttemptStart, AttemptTrace, CallTrace, Entered, ObservedMessage, ServedTrace};

/// Learns of the attempts and calls of a mesh. Its functions run on the tasks of the calls, and must not block.
pub trait CallObserver: Debug + Send + Sync + 'static {
    /// An attempt begins: it picks an endpoint next.
    fn attempt_started(&self, _method: &ObservedMethod<'_>) {}

    /// An attempt has ended, also one that found no endpoint.
    fn attempt_ended(&self, _attempt: &AttemptRecord<'_>) {}

    /// A call has ended: its caller has the status, or has cancelled it.
    fn call_ended(&self, _call: &CallRecord<'_>) {}

    /// A call begins: what is to follow it. `None`, the default: nothing does.
    fn trace(&self, _call: &ObservedMethod<'_>) -> Option<Box<dyn CallTrace>> {
        None
    }
}
