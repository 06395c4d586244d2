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
//! A server that is to begin anew has its stream ended first, as if no watch needed it.
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
//! Each of the four is left for any other of them as the server says, and for Acked.
//!
//! Invariants:
//! - what was accepted stays in use whatever happens later (gRFC A88), unless the bootstrap asked otherwise or
//!   nobody watches it any more;
//! - each response of a subscribed type is answered exactly once;
//! - a request of the state of the world names the full set that is watched, but for an answer that leaves a
//!   name out whose return the server may have missed, with the full set right after it;
//! - an incremental request names what is different, and everything when it is a stream's first of its type.
//!
//! An `Event` says only that something is different; what is true now is read from `AdsState::view`. So a burst
//! of changes costs its reader one look.
// TR-01, TR-07, TR-09, TR-20, TR-24, TR-25, TR-49

mod accepted;
mod authority;
mod cache;
mod event;
mod intake;
mod last_good;
mod link;
mod nack;
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

pub(crate) use event::{DeletionNews, Event, Outage, View};
pub use event::{Problem, ProblemKind};
pub(crate) use last_good::Leftover;
pub(crate) use link::StreamEnd;
pub(crate) use name::is_collection;
pub(crate) use name::{authority, canonical};
pub(crate) use request::{Interest, Request};
pub(crate) use response::{Heartbeat, Received, Rejected, Response, ServerError};
pub(crate) use settings::{AuthoritySettings, DataErrors, Fallback, OnTimeout, ServerSettings, Settings};
pub use settings::{ServerId, Variant};
pub(crate) use state::AdsState;
pub use status::{ResourceState, ResourceStatus, UpdateCounts};
pub(crate) use subscription::ResourceKind;
