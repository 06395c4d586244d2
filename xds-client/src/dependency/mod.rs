//! From single resources to one complete configuration per target (gRFC A74): [`Graph`].
//!
//! ```text
//! listener ──▶ route configuration ──▶ virtual host ──▶ clusters ──▶ endpoints ──▶ collections
//!    └── or inline ─────────────────────────▲            │    ▲
//!                                                        └────┘ aggregate, at most 16 deep (RT-32)
//! ```
//!
//! Pure: no clock, no tasks. A graph reads and watches resources through [`Resources`], and its driver reports
//! changed ones.
//!
//! What a target's configuration does:
//!
//! ```text
//!                 all resolved                    all resolved
//!      nothing ────────────────▶ configuration ─┐◀────────────── something is missing: the old one
//!        │  ▲                     │      ▲      └──────────────▶ stays in use (RT-32)
//!        │  │ server is back      │ no virtual host (RT-05),
//!        ▼  │                     ▼ socket listener (RT-31)
//!      error: no listener or route configuration, server unreachable
//! ```
//!
//! Invariants:
//! - a configuration is emitted only when listener, routes, and all clusters with their endpoints are either there or
//!   known to be in error (RT-30), so no route names a cluster that is not in it;
//! - with a configuration in use, an unreachable server resolves nothing: missing resources are waited for;
//! - the graph is walked when the last missing resource has come, not for each: 2,000 clusters cost a handful of walks;
//! - parts that are equal to the last configuration's are its `Arc`s, and an equal configuration is not emitted.

mod aggregate;
mod assemble;
mod collection;
mod graph;
mod key;
mod refresh;
mod resolve;
mod server;
mod text;
mod virtual_host;
mod walk;

#[cfg(test)]
mod tests;

pub(crate) use graph::{Graph, Resources};
pub(crate) use key::{Key, KeyKind};
pub(crate) use server::ServerGraph;
pub(crate) use text::ErrorContext;
