//! Why a bootstrap, or a target, cannot be used.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

/// Where a bootstrap came from.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Origin {
    /// The file that `GRPC_XDS_BOOTSTRAP` names.
    File(PathBuf),
    /// The text of this variable.
    Variable(&'static str),
    /// JSON text that the program passed in.
    Json,
    /// The builder.
    Code,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "xDS bootstrap file {}", path.display()),
            Self::Variable(name) => write!(f, "xDS bootstrap in {name}"),
            Self::Json | Self::Code => f.write_str("xDS bootstrap"),
        }
    }
}

/// Why there is no bootstrap.
#[derive(Clone, thiserror::Error)]
#[non_exhaustive]
pub enum BootstrapError {
    /// Neither variable is set.
    // BS-03
    #[error(
        "no xDS bootstrap: set GRPC_XDS_BOOTSTRAP to the path of a JSON file or GRPC_XDS_BOOTSTRAP_CONFIG to the JSON \
         itself, or build one in code"
    )]
    NotConfigured,
    /// The file cannot be read; the other variable is not tried.
    // BS-02
    #[error("GRPC_XDS_BOOTSTRAP: cannot read {}", .path.display())]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// The operating system's error.
        source: Arc<std::io::Error>,
    },
    /// Not JSON.
    #[error("{origin}: line {line}, column {column}: {reason}")]
    Syntax {
        /// Where the text came from.
        origin: Origin,
        /// From 1.
        line: usize,
        /// From 1.
        column: usize,
        /// What was expected.
        reason: String,
    },
    /// A field that is missing or wrong.
    #[error("{origin}: {}{reason}", path_prefix(.path))]
    Invalid {
        /// Where the bootstrap came from.
        origin: Origin,
        /// The field, for example `xds_servers[0].channel_creds`; empty for the whole.
        path: String,
        /// What was found and what was expected.
        reason: String,
    },
}

mesh_core::debug_with_causes!(BootstrapError, TargetError);

fn path_prefix(path: &str) -> String {
    match path {
        "" => String::new(),
        path => format!("{path}: "),
    }
}

/// Why a target, or a listening address, has no listener name.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TargetError {
    /// Not `xds:`, nor a mere name.
    #[error("target {target:?}: the scheme must be xds, as in xds:///{name}")]
    UnsupportedScheme {
        /// The target as given.
        target: String,
        /// The part that is probably meant.
        name: String,
    },
    /// No usable name.
    #[error("target {target:?}: {reason}")]
    InvalidName {
        /// The target as given.
        target: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The bootstrap has no such authority.
    // BS-42, BS-43
    #[error("xDS authority {authority:?} is not in the bootstrap, which has {known:?}")]
    UnknownAuthority {
        /// The unknown authority.
        authority: String,
        /// The authorities of the bootstrap.
        known: Vec<String>,
    },
    /// The bootstrap cannot name listeners for servers.
    // BS-39
    #[error(
        "the xDS bootstrap has no server_listener_resource_name_template, without which no server can be set up"
    )]
    NoServerTemplate,
}
