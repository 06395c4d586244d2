//! Decisions: pure functions and state machines.
//!
//! Nothing here reads a clock, draws a number on its own, spawns, sleeps or locks. `now` is the first argument, the
//! random source the last; deadlines are data that a driver in [`runtime`](crate::runtime) turns into sleeps.

pub mod backoff;
pub(crate) mod circuit_breaker;
pub(crate) mod dns;
pub mod explain;
pub(crate) mod fault;
pub(crate) mod filter_chain;
pub(crate) mod first_bytes;
pub mod grpc_code;
pub(crate) mod header_mutation;
pub(crate) mod health;
pub mod identity;
pub mod jwt;
pub mod lb;
pub mod load_report;
pub(crate) mod lookup;
pub mod matcher;
pub mod outlier;
pub(crate) mod rate_limit;
pub mod rbac;
pub mod retry;
pub(crate) mod rewrite;
pub(crate) mod route;
pub(crate) mod session;
pub(crate) mod subchannel;
pub mod timeout;
pub(crate) mod weighted_choice;
