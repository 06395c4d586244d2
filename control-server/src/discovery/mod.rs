//! Discovery: the state of every connected client, and its next response (ADS, SotW and delta).
//!
//! ```text
//! Feed (pipeline) -> ResourceCache -> one task per stream -> Stream (pure) -> Response -> pieces
//!                      `-- Interests: the streams that a change wakes   `-- Registry --> admin
//! ```
//!
//! The protocol is section 2.5 of the conformance list. Invariants:
//! - Nothing is sent before the configuration has synced; streams are accepted and wait.
//! - A change wakes only the streams with subscriptions to changed resources, and costs in proportion to the change.
//! - `Stream` never reads a clock, never sleeps and never waits for a lock; its driver does.
//! - At most one response per type and stream is unanswered; a slow client gets the latest state, not every revision.
//! - A resource's bytes are shared by all streams and copied once, into the connection's buffer.

mod body;
mod cache;
mod config;
pub mod csds;
mod drain;
mod driver;
mod interest;
mod pieces;
mod registry;
mod service;
mod status;
mod stream;
mod unread_request;
mod wire;

pub use cache::{Feed, ResourceCache, Snapshot};
pub use config::{ClientConfig, ConfigState, ResourceConfig};
pub use drain::Drain;
pub use registry::Registry;
pub use service::AggregatedDiscovery;
pub use status::{ClientBrief, ClientProcess, ClientStatus, Refusal, SyncState, TypeStatus};
