//! Discovery: what every connected client has been told, and what it is told next (SotW ADS).
//!
//! ```text
//! Feed (pipeline) -> ResourceCache -> one task per stream -> Stream (pure) -> Response -> wire
//!                                          `-- Registry --> admin
//! ```
//!
//! The protocol is section 2.5 of the conformance list. Invariants:
//! - Nothing is sent before the configuration has synced; streams are accepted and wait.
//! - `Stream` never reads a clock, never sleeps and never waits for a lock; its driver does.
//! - At most one response per type and stream is unanswered; a slow client gets the latest state, not every revision.
//! - A resource's bytes are shared by all streams and copied once, into the connection's buffer.

mod cache;
mod drain;
mod driver;
mod exchange;
mod registry;
mod service;
mod status;
mod stream;
mod subscription;
mod wire;

pub use cache::{Feed, ResourceCache, Snapshot};
pub use drain::Drain;
pub use registry::Registry;
pub use service::AggregatedDiscovery;
pub use status::{ClientBrief, ClientStatus, SyncState, TypeStatus};
