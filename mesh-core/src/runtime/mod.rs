//! Where it happens: the request path, connections and tasks. The only tokio in the crate.

pub mod balance;
pub mod connect;
mod source;

pub use source::{ConfigSource, ConfigState, ConfigWatch, SourceError, Target};
