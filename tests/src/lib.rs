//! What the tests across crates share: processes, folders of configuration, bounded waiting, other languages.
//!
//! A harness fails a test by panicking, with what was expected and what the processes said.

pub mod ads;
mod binary;
pub mod certificates;
pub mod client_process;
mod config_dir;
mod control_server;
pub mod dns;
pub mod envoy;
pub mod faults;
pub mod fleet;
pub mod go;
mod greeter;
pub mod headers;
pub mod java;
pub mod load;
pub mod mesh;
pub mod network;
pub mod node;
pub mod paced;
mod process;
pub mod python;
pub mod relay;
mod scenario;
pub mod scripted;
pub mod stock;
mod wait;
pub mod xds;
pub mod xds_server;
pub mod yaml;

pub use binary::{binary_built_alone, workspace_binary};
pub use config_dir::ConfigDir;
pub use control_server::{Addresses, ControlServer};
pub use greeter::Greeter;
pub use process::Process;
pub use scenario::Scenario;
pub use wait::{PATIENCE, eventually, within};
