//! Why a pipeline does not start.

use std::io;
use std::path::PathBuf;

/// Why a pipeline does not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The folder is missing or cannot be read.
    #[error("cannot read the configuration folder {}", folder.display())]
    Folder {
        /// Its path.
        folder: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The data folder cannot be made or read.
    #[error("cannot use the data folder {}", folder.display())]
    DataDir {
        /// Its path.
        folder: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}
