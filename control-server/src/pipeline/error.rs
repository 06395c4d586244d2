//! Why a pipeline does not start.

use std::io;
use std::path::PathBuf;

use crate::source::DataDirError;

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
    /// The data folder cannot be made or used.
    #[error("cannot use the data folder {}; choose another one with --data-dir or CONTROL_SERVER_DATA_DIR", folder.display())]
    DataDir {
        /// Its path.
        folder: PathBuf,
        /// What is wrong with it.
        source: DataDirError,
    },
    /// The system gives no thread.
    #[error("cannot start the configuration thread")]
    Thread {
        /// What the system says.
        source: io::Error,
    },
}
