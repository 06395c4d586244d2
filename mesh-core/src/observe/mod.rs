//! What calls tell those who observe them.
//!
//! A [`CallObserver`] of a mesh ([`MeshBuilder::observer`](crate::runtime::MeshBuilder::observer)) learns of every attempt and of every
//! call of the mesh's channels, a [`ServerObserver`] of every call of a server. `CallMetrics` and `ServerMetrics` make metrics of them
//! (gRFC A66), with the feature `opentelemetry`. Without an observer nothing is measured.

#[cfg(feature = "opentelemetry")]
mod instruments;
#[cfg(feature = "opentelemetry")]
mod metrics;
mod record;
mod served;
#[cfg(feature = "opentelemetry")]
mod server_metrics;
mod sizes;

use std::fmt::Debug;

#[cfg(feature = "opentelemetry")]
pub use metrics::CallMetrics;
pub use record::{AttemptRecord, CallRecord, MethodKind, ObservedMethod};
pub use served::{CountedMessages, ReceivedMessages, ServedCall, ServedRecord, ServerObserver};
#[cfg(feature = "opentelemetry")]
pub use server_metrics::ServerMetrics;
pub(crate) use sizes::MessageSizes;

/// Learns of the attempts and calls of a mesh. Its functions run on the tasks of the calls, and must not block.
pub trait CallObserver: Debug + Send + Sync + 'static {
    /// An attempt begins: it picks an endpoint next.
    fn attempt_started(&self, _method: &ObservedMethod<'_>) {}

    /// An attempt has ended, also one that found no endpoint.
    fn attempt_ended(&self, _attempt: &AttemptRecord<'_>) {}

    /// A call has ended: its caller has the status, or has cancelled it.
    fn call_ended(&self, _call: &CallRecord<'_>) {}
}
