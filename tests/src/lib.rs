//! What the tests across crates share: processes, folders of configuration, bounded waiting, other languages.
//!
//! A harness fails a test by panicking, with what was expected and what the processes said.

mod binary;
mod config_dir;
mod process;
pub mod python;
mod wait;

pub use binary::workspace_binary;
pub use config_dir::ConfigDir;
pub use process::Process;
pub use wait::{PATIENCE, eventually};
