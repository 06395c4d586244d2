//! Why a folder cannot be the data folder.

use std::io;
use std::path::PathBuf;

/// Why a folder cannot be the data folder.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataDirError {
    /// Another server uses it.
    #[error("another control-server uses it")]
    InUse,
    /// Copies would be read as configuration.
    #[error("it must be outside of the configuration folder {}", config.display())]
    Overlap {
        /// The configuration folder.
        config: PathBuf,
    },
    /// It cannot be made, read or locked.
    #[error(transparent)]
    Io(#[from] io::Error),
}
