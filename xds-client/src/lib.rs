//! An xDS client: bootstrap, the ADS protocol, validation, and one complete configuration per target.
//!
//! ```text
//! bytes -> transport -> protocol (pure) <- resource (decode, validate) -> dependency -> mesh_core::config
//! ```
//!
#![doc = include_str!("../../docs/xds-client.md")]

pub mod bootstrap;
mod certificate;
mod client;
pub(crate) mod dependency;
pub mod load_report;
pub mod protocol;
pub mod resource;
pub mod status;
#[cfg(feature = "testing")]
pub mod testing;
pub mod transport;

pub use client::{
    Options, ResourceView, ResourceWatch, ServerStatus, StartError, Status, WeakXdsClient, XdsClient,
    running, shared, shared_mesh, shared_mesh_with, shared_with, start, start_with,
};
