//! Finds the YAML files of a folder.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, Metadata};
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// The files, by path relative to the folder with `/` between its parts.
#[derive(Debug, Default)]
pub(super) struct Scan {
    pub(super) files: BTreeMap<String, FileStamp>,
    /// Folders that could not be read, with a `/` at their end; the folder itself is the empty path. Also entries whose type
    /// is unknown, without a `/`.
    pub(super) unreadable: Vec<(String, io::Error)>,
}

/// Properties of a file that change when it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FileStamp {
    pub(super) modified: Option<SystemTime>,
    pub(super) length: u64,
}

impl Scan {
    /// Whether the state of a file is unknown, because its folder could not be read.
    pub(super) fn hides(&self, file: &str) -> bool {
        self.unreadable.iter().any(|(folder, _)| file.starts_with(folder.as_str()))
    }
}

/// Scans a folder and all its subfolders. Names that start with a dot are skipped; symbolic links are followed, each
/// folder at most once.
pub(super) fn scan(folder: &Path) -> Scan {
    let mut scan = Scan::default();
    let mut seen = BTreeSet::new();
    let mut pending = vec![(folder.to_owned(), String::new())];
    while let Some((path, name)) = pending.pop() {
        if let Err(error) = visit(&path, &name, &mut seen, &mut scan, &mut pending) {
            scan.unreadable.push((name, error));
        }
    }
    scan
}

fn visit(
    path: &Path,
    name: &str,
    seen: &mut BTreeSet<PathBuf>,
    scan: &mut Scan,
    pending: &mut Vec<(PathBuf, String)>,
) -> io::Result<()> {
    if !seen.insert(path.canonicalize()?) {
        return Ok(());
    }
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        let Ok(file_name) = entry.file_name().into_string() else { continue };
        if file_name.starts_with('.') {
            continue;
        }
        let metadata = match fs::metadata(entry.path()) {
            Ok(metadata) => metadata,
            // A dangling link, or a file that was just removed, is no file.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            // After any other error the entry still exists.
            Err(error) => {
                let end = if is_yaml(&file_name) { "" } else { "/" };
                scan.unreadable.push((format!("{name}{file_name}{end}"), error));
                continue;
            }
        };
        if metadata.is_dir() {
            pending.push((entry.path(), format!("{name}{file_name}/")));
        } else if metadata.is_file() && is_yaml(&file_name) {
            scan.files.insert(format!("{name}{file_name}"), FileStamp::of(&metadata));
        }
    }
    Ok(())
}

/// Whether a file is read, by its name.
fn is_yaml(name: &str) -> bool {
    Path::new(name).extension().is_some_and(|extension| extension == "yaml" || extension == "yml")
}

impl FileStamp {
    fn of(metadata: &Metadata) -> Self {
        Self { modified: metadata.modified().ok(), length: metadata.len() }
    }
}
