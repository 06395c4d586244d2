//! The ADS protocol in both its variants, state of the world and incremental, as one state for all servers of a
//! client: `AdsState`.
//!
//! gRFCs A27, A28, A40, A46, A53, A57, A88 and Envoy's xDS protocol document; sections 2.1 and 2.2 of the
//! conformance list. Pure: time and randomness are arguments, nothing here sleeps, spawns or reads a clock.
//!
//! The stream to one server, from the client's side:
//!
//! ```text
//!                first watch                 opened
//!        Idle ───────────────▶ Opening ───────────────▶ Open
//!         ▲ ▲                     │                     │  │
//!         │ │    failed: outage   │                     │  │ ended after a response,
//!         │ │ due                 ▼                     │  │ or without a watch
//!         │ └────────────────  Waiting ◀────────────────┘  │
//!         │                         ended before a response:
//!         │                              outage            │
//!         └────────────────────────────────────────────────┘
//! ```
//!
//! To start again with a server, the driver first ends its stream, as if no watch needed it.
//!
//! A watched resource (the states of gRFC A40 and A88, as CSDS shows them):
//!
//! ```text
//!                    accepted: from any state
//!      Requested ───────────────────────────────▶ Acked
//!          │                                        │
//!          │ rejected                               │ rejected
//!          ├────────────────▶ Nacked ◀──────────────┤
//!          │ resource_errors                        │ resource_errors
//!          ├────────────▶ ReceivedError ◀───────────┤
//!          │ removed, or 15 s on a stream           │ removed, missing from LDS or CDS, or its time to live is over
//!          ├─────────────▶ DoesNotExist ◀───────────┤
//!          │ 30 s on a stream                       │ the same, where another server has taken over
//!          └───────────────▶ Timeout ◀──────────────┘
//! ```
//!
//! From each of the four the resource changes to any other of them, or to Acked, with the server's next answer.
//!
//! Invariants:
//! - an accepted resource stays in use (gRFC A88) until its last watch ends, unless the bootstrap is configured
//!   otherwise;
//! - each response of a subscribed type is answered exactly once;
//! - a state-of-the-world request names all watched resources. The one exception is an answer that omits a name
//!   whose return the server may have missed; the full set follows right after it;
//! - an incremental request names only changes, and everything if it is the stream's first of its type.
//!
//! An `Event` only names a resource that has changed; its reader gets the current value from `AdsState::view`. So a burst
//! of changes costs the reader one read.
// TR-01, TR-07, TR-09, TR-20, TR-24, TR-25, TR-49

mod accepted;
mod authority;
mod cache;
mod event;
mod intake;
mod last_good;
mod link;
#[cfg_attr(not(feature = "testing"), expect(unreachable_pub, reason = "fuzz targets call some of it"))]
pub(crate) mod name;
mod request;
mod resource;
mod response;
mod server;
mod settings;
mod state;
mod status;
mod subscription;
mod timer;

#[cfg(test)]
mod tests;

pub use mesh_core::policy::backoff::BackoffSettings;

pub(crate) use event::{DeletionStatus, Event, Outage, View};
pub use event::{Problem, ProblemKind};
pub(crate) use last_good::Leftover;
pub(crate) use link::StreamEnd;
pub(crate) use name::{authority, canonical, is_collection};
pub(crate) use request::{Interest, Request};
pub(crate) use response::{Heartbeat, Received, Rejected, Response, ServerError};
pub(crate) use settings::{AuthoritySettings, DataErrors, Fallback, OnTimeout, ServerSettings, Settings};
pub use settings::{ServerId, Variant};
pub(crate) use state::AdsState;
pub use status::{ResourceState, ResourceStatus, UpdateCounts};
pub(crate) use subscription::ResourceKind;
