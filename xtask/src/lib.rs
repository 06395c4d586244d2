//! The project's own commands, as a library so that ordinary tests run the same code.
//!
//! - [`check`]: what CI runs, step by step.
//! - [`layering`]: the arrows and invariants of the house.
//! - [`conformance`]: `docs/conformance.md` against the tests that claim its rules.
//! - [`public_api`]: the listings of what the library crates show.
//! - [`protos`]: the code of xds-proto against its declarations.
//! - [`interop`]: the stock gRPC of other languages, and Envoy.

pub mod check;
pub mod conformance;
mod failure;
pub mod interop;
pub mod layering;
pub mod output;
pub mod protos;
pub mod public_api;
pub mod source;
mod syntax;
pub mod workspace;

pub use failure::Failure;
