//! A file that appears, whole, when the server listens, and goes when it ends.

use std::path::PathBuf;
use std::{fs, io, process};

use super::error::StartError;
use super::running::Addresses;

/// Owns the path while the server runs.
#[derive(Debug)]
pub(super) struct ReadyFile {
    path: PathBuf,
    written: bool,
}

impl ReadyFile {
    /// Takes away what an earlier process left, so that the file's existence means this one.
    pub(super) fn claim(path: PathBuf) -> Result<Self, StartError> {
        match fs::remove_file(&path) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                Err(StartError::ReadyFile { path, source })
            }
            _ => Ok(Self { path, written: false }),
        }
    }

    pub(super) fn write(&mut self, addresses: &Addresses) -> Result<(), StartError> {
        let mut content =
            serde_json::json!({ "xds": addresses.xds, "admin": addresses.admin, "pid": process::id() });
        if let Some(xds_tls) = addresses.xds_tls {
            content["xds_tls"] = xds_tls.to_string().into();
        }
        let mut temporary = self.path.clone().into_os_string();
        temporary.push(format!(".{}", process::id()));
        let written = fs::write(&temporary, format!("{content}\n"))
            // Renaming makes it atomic: a reader never sees half of it.
            .and_then(|()| fs::rename(&temporary, &self.path));
        match written {
            Ok(()) => {
                self.written = true;
                Ok(())
            }
            Err(source) => {
                let _ = fs::remove_file(&temporary);
                Err(StartError::ReadyFile { path: self.path.clone(), source })
            }
        }
    }
}

impl Drop for ReadyFile {
    fn drop(&mut self) {
        if self.written {
            let _ = fs::remove_file(&self.path);
        }
    }
}
