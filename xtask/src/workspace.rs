//! The files of the workspace.

use std::fs;
use std::path::{Path, PathBuf};

use crate::Failure;

/// Folders that hold no sources of ours.
const SKIPPED: [&str; 4] = ["node_modules", "__pycache__", "testdata", "generated"];

/// The file by which cargo marks a folder of build products; a folder of sources may be called `target`, too.
const BUILD_MARK: &str = "CACHEDIR.TAG";

/// The workspace's root folder.
pub fn root() -> PathBuf {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.parent().unwrap_or(own).to_path_buf()
}

/// One file, read.
#[derive(Debug, Clone)]
pub struct File {
    /// Relative to the root, with `/`.
    pub path: String,
    /// Its content.
    pub text: String,
}

impl File {
    /// A file with its content, for the rules and their tests.
    pub fn new(path: impl Into<String>, text: impl Into<String>) -> Self {
        Self { path: path.into(), text: text.into() }
    }

    /// Reads `path`, relative to `root`.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn read(root: &Path, path: &str) -> Result<Self, Failure> {
        let text = fs::read_to_string(root.join(path)).map_err(|error| Failure::during(path, error))?;
        Ok(Self::new(path, text))
    }
}

/// Every file under `root` whose name ends with `suffix`, sorted; hidden folders and build products left out.
///
/// # Errors
/// When a folder or a file cannot be read.
pub fn files(root: &Path, suffix: &str) -> Result<Vec<File>, Failure> {
    let mut found = Vec::new();
    collect(root, "", suffix, &mut found)?;
    found.sort();
    found.iter().map(|path| File::read(root, path)).collect()
}

fn collect(root: &Path, folder: &str, suffix: &str, found: &mut Vec<String>) -> Result<(), Failure> {
    let shown = if folder.is_empty() { "." } else { folder };
    let entries = fs::read_dir(root.join(folder)).map_err(|error| Failure::during(shown, error))?;
    for entry in entries {
        let entry = entry.map_err(|error| Failure::during(shown, error))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = if folder.is_empty() { name.clone() } else { format!("{folder}/{name}") };
        let kind = entry.file_type().map_err(|error| Failure::during(&path, error))?;
        if kind.is_dir() {
            let is_skipped = name.starts_with('.') || SKIPPED.contains(&name.as_str());
            if !is_skipped && !root.join(&path).join(BUILD_MARK).exists() {
                collect(root, &path, suffix, found)?;
            }
        } else if name.ends_with(suffix) {
            found.push(path);
        }
    }
    Ok(())
}
