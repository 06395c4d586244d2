//! Finds the process's bootstrap.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use super::{Bootstrap, BootstrapError, FeatureGuards, Origin, parse};

const PATH_VARIABLE: &str = "GRPC_XDS_BOOTSTRAP";
const JSON_VARIABLE: &str = "GRPC_XDS_BOOTSTRAP_CONFIG";

// BS-06
pub(super) fn once() -> Result<Bootstrap, BootstrapError> {
    static BOOTSTRAP: OnceLock<Result<Bootstrap, BootstrapError>> = OnceLock::new();
    BOOTSTRAP.get_or_init(|| load(|name| std::env::var_os(name), |path| std::fs::read(path))).clone()
}

/// Loads a bootstrap from the environment and files that the caller passes in.
pub(super) fn load(
    variable: impl Fn(&str) -> Option<OsString>,
    read: impl Fn(&Path) -> io::Result<Vec<u8>>,
) -> Result<Bootstrap, BootstrapError> {
    let set = |name: &str| variable(name).filter(|value| !value.is_empty());
    let (origin, bytes) = match (set(PATH_VARIABLE), set(JSON_VARIABLE)) {
        // BS-01, BS-02: a file that cannot be read is an error, never a reason to try the other variable.
        (Some(path), _) => {
            let path = PathBuf::from(path);
            match read(&path) {
                Ok(bytes) => (Origin::File(path), bytes),
                Err(error) => return Err(BootstrapError::Unreadable { path, source: Arc::new(error) }),
            }
        }
        (None, Some(json)) => (Origin::Variable(JSON_VARIABLE), json.into_encoded_bytes()),
        // BS-03
        (None, None) => return Err(BootstrapError::NotConfigured),
    };
    let Ok(json) = std::str::from_utf8(&bytes) else {
        let reason = "the text is not UTF-8".to_owned();
        return Err(BootstrapError::Invalid { origin, path: String::new(), reason });
    };
    let guards = FeatureGuards::read(|name| variable(name).and_then(|value| value.into_string().ok()));
    parse::from_json(json, &origin, guards)
}
