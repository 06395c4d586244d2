//! The project's own commands, as a library so that ordinary tests run the same code.
//!
//! - [`check`]: what CI runs, step by step.
//! - [`conformance`]: `docs/conformance.md` against the tests that claim its rules.

pub mod check;
pub mod conformance;
mod failure;
pub mod output;
pub mod workspace;

pub use failure::Failure;
