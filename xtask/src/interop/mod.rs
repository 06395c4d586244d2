//! Clients and servers that are not ours, in folders of the workspace's own: stock gRPC for Python and Envoy in `.venv`,
//! stock gRPC for Node in `tests/interop/node/node_modules`, programs on stock gRPC for Go in `tests/interop/go/bin`,
//! and for Java in `tests/interop/java/target`.
//!
//! Each folder holds exactly what a file in `tests/interop/` pins; a copy of that file inside says so.

mod command;
mod go;
mod java;
mod node;
mod python;

use std::path::Path;

use crate::Failure;

pub use go::go;
pub use java::{Java, java};
pub use node::{Node, node};
pub use python::{envoy, python};

/// Set to `required`, what is missing is a failure and not a warning.
pub const SWITCH: &str = "MESH_INTEROP";

/// Whether what is missing is a failure.
pub fn is_required() -> bool {
    std::env::var_os(SWITCH).is_some_and(|value| value == "required")
}

/// Installs whatever is not there or not up to date.
///
/// # Errors
/// What is missing on this machine, or what an installer could not do. A machine without Node, Go or Java only gets a warning, unless
/// [`is_required`].
pub fn set_up(root: &Path) -> Result<(), Failure> {
    python::set_up(root)?;
    node::set_up(root)?;
    go::set_up(root)?;
    java::set_up(root)
}
