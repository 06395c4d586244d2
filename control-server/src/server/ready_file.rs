//! A file that exists, complete, while the server listens.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process;

use tempfile::Builder;

use super::error::StartError;
use super::running::Addresses;

/// Owns the path while the server runs.
#[derive(Debug)]
pub(super) struct ReadyFile {
    path: PathBuf,
    written: bool,
}

impl ReadyFile {
    /// Removes the file of an earlier process, so that its existence means this one.
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
        match self.replace(&format!("{content}\n")) {
            Ok(()) => {
                self.written = true;
                Ok(())
            }
            Err(source) => Err(StartError::ReadyFile { path: self.path.clone(), source }),
        }
    }

    /// Readers see the whole file or none.
    fn replace(&self, content: &str) -> io::Result<()> {
        let folder = self.path.parent().unwrap_or(&self.path);
        // Not `tempfile_in`: every user that the umask allows may read the file.
        let mut file = Builder::new().prefix(".ready-").make_in(folder, |path| File::create_new(path))?;
        file.write_all(content.as_bytes())?;
        file.persist(&self.path)?;
        Ok(())
    }
}

impl Drop for ReadyFile {
    fn drop(&mut self) {
        if self.written {
            let _ = fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, SocketAddr};

    use super::*;

    #[test]
    fn ready_file_replaces_an_old_one_with_the_rights_of_any_new_file() {
        let folder = tempfile::tempdir().unwrap();
        let (path, other) = (folder.path().join("ready"), folder.path().join("other"));
        fs::write(&path, "of an earlier process").unwrap();
        let mut file = ReadyFile::claim(path.clone()).unwrap();
        assert!(!path.exists(), "not ready yet");
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
        file.write(&Addresses { xds: address, xds_tls: None, admin: address }).unwrap();
        assert!(fs::read_to_string(&path).unwrap().ends_with("}\n"));
        fs::write(&other, "").unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions(), fs::metadata(&other).unwrap().permissions());
        drop(file);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "only the other file is left");
    }
}
