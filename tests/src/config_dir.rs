//! A folder of configuration that an operator edits.

use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

/// A temporary folder of configuration; each file changes at once, never in halves.
#[derive(Debug)]
pub struct ConfigDir {
    /// Holds the folder itself, and beside it what is being written.
    root: TempDir,
}

impl ConfigDir {
    /// An empty folder, gone when this is dropped.
    ///
    /// # Panics
    /// When the temporary folder cannot be made.
    pub fn new() -> Self {
        let root = TempDir::with_prefix("mesh-config-").expect("the temporary folder is writable");
        fs::create_dir(root.path().join("config")).expect("a new temporary folder is writable");
        Self { root }
    }

    /// The folder to give to a control-server.
    pub fn path(&self) -> PathBuf {
        self.root.path().join("config")
    }

    /// A path outside the watched folder that lives as long, for sockets, data and ready files.
    pub fn beside(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    /// Writes or replaces the file `name`, which may stand in subfolders.
    ///
    /// # Panics
    /// When it cannot be written.
    pub fn write(&self, name: &str, text: &str) {
        let path = self.path().join(name);
        let written =
            path.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| self.replace(&path, text));
        if let Err(error) = written {
            panic!("{}: {error}", path.display());
        }
    }

    /// Removes the file `name`.
    ///
    /// # Panics
    /// When there is none.
    pub fn remove(&self, name: &str) {
        let path = self.path().join(name);
        if let Err(error) = fs::remove_file(&path) {
            panic!("{}: {error}", path.display());
        }
    }

    fn replace(&self, path: &Path, text: &str) -> std::io::Result<()> {
        let new = self.root.path().join("new");
        fs::write(&new, text)?;
        fs::rename(&new, path)
    }
}

impl Default for ConfigDir {
    fn default() -> Self {
        Self::new()
    }
}
