//! Where it happens: the request path, connections and tasks. The only tokio in the crate.

mod source;

pub use source::{ConfigSource, ConfigState, ConfigWatch, SourceError, Target};
