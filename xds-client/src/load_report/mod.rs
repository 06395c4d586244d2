//! Load reports (LRS): the counts of the mesh, sent to the servers that its clusters came from (gRFC A27, A64, A85).
//!
//! ```text
//!  mesh_core::runtime::LoadStore ◀── counts ── calls
//!        │ servers in use                │ take
//!        ▼                               ▼
//!     Reporter ── starts ──▶ Driver of each server ──▶ transport
//!                                │ polls for steps
//!                                ▼
//!                         LoadReportState (pure)
//! ```
//!
//! The life of a server's stream:
//!
//! ```text
//!            in use           opened           node sent, instructions came
//!    Done ──────────▶ Idle ─▶ Opening ─▶ Open ─────────────────────────────▶ Open, reporting
//!     ▲                ▲         │        │ ended, or an invalid interval      │    │
//!     │ out of use     │ time    ▼        ▼                                    │    │ out of use
//!     ├──────────── Waiting ◀────┴────────┴────────────────────────────────────┘    ▼
//!     └──────────────────────────────────────────── Closing ◀── last report ── Leaving
//! ```
//!
//! A server that goes out of use during Waiting and comes back in time waits for the rest of it.
//!
//! Invariants: there is a stream to a server only while a cluster in use reports to it, and for a last report after that;
//! nothing is taken from the store unless it can be sent at once; a server that the bootstrap does not have gets nothing.

mod driver;
mod instructions;
mod message;
mod reporter;
mod state;
#[cfg(test)]
mod tests;

pub(crate) use instructions::{Instructions, InvalidInstructions, Wanted};
pub use reporter::Reporter;
pub(crate) use state::{LoadReportState, Request};
