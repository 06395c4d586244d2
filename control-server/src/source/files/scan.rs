//! Finds the YAML and JSON files of a folder.

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

/// Which symbolic links in a configuration folder are followed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Links {
    /// Those that stay in the folder, as the links of a ConfigMap's mount do.
    #[default]
    Inside,
    /// All.
    Anywhere,
}

/// Scans a folder and all its subfolders. `label` stands before every name. Names that start with a dot are skipped; symbolic links are followed, each
/// folder at most once.
pub(super) fn scan(folder: &Path, label: &str, links: Links) -> Scan {
    let mut walk =
        Walk { root: None, links, seen: BTreeSet::new(), pending: Vec::new(), scan: Scan::default() };
    walk.pending.push((folder.to_owned(), label.to_owned()));
    while let Some((path, name)) = walk.pending.pop() {
        if let Err(error) = walk.visit(&path, &name) {
            walk.scan.unreadable.push((name, error));
        }
    }
    walk.scan
}

/// Looks at one file of a folder. Links are followed: the file was named by the user.
pub(super) fn scan_file(folder: &Path, label: &str, name: &str) -> Scan {
    let mut scan = Scan::default();
    let labelled = format!("{label}{name}");
    match fs::metadata(folder.join(name)) {
        Ok(metadata) if metadata.is_file() => {
            scan.files.insert(labelled, FileStamp::of(&metadata));
        }
        Ok(_) => scan.unreadable.push((labelled, no_file())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => scan.unreadable.push((labelled, error)),
    }
    scan
}

/// A scan under way.
struct Walk {
    /// Where the folder really is.
    root: Option<PathBuf>,
    links: Links,
    seen: BTreeSet<PathBuf>,
    pending: Vec<(PathBuf, String)>,
    scan: Scan,
}

impl Walk {
    fn visit(&mut self, path: &Path, name: &str) -> io::Result<()> {
        let real = path.canonicalize()?;
        self.root.get_or_insert_with(|| real.clone());
        if !self.seen.insert(real) {
            return Ok(());
        }
        for entry in fs::read_dir(path)? {
            let entry = entry?;
            let Ok(file_name) = entry.file_name().into_string() else { continue };
            if file_name.starts_with('.') {
                continue;
            }
            let name = format!("{name}{file_name}");
            match self.look_at(&entry) {
                Ok(metadata) if metadata.is_dir() => self.pending.push((entry.path(), format!("{name}/"))),
                Ok(_) if !is_read(&file_name) => {}
                Ok(metadata) if metadata.is_file() => {
                    self.scan.files.insert(name, FileStamp::of(&metadata));
                }
                Ok(_) => self.scan.unreadable.push((name, no_file())),
                // A dangling link, or a file that was just removed, is no file.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                // After any other error the entry still exists.
                Err(error) if is_read(&file_name) => self.scan.unreadable.push((name, error)),
                Err(error) => self.scan.unreadable.push((format!("{name}/"), error)),
            }
        }
        Ok(())
    }

    /// The metadata of an entry, or of what it links to.
    fn look_at(&self, entry: &fs::DirEntry) -> io::Result<Metadata> {
        let metadata = fs::metadata(entry.path())?;
        let is_of_use = metadata.is_dir() || is_read(&entry.file_name().to_string_lossy());
        if self.links == Links::Inside && is_of_use && entry.file_type()?.is_symlink() {
            let target = entry.path().canonicalize()?;
            if self.root.as_ref().is_some_and(|root| !target.starts_with(root)) {
                return Err(io::Error::other(
                    "it is a link that leads out of the configuration folder, which only --follow-links allows",
                ));
            }
        }
        Ok(metadata)
    }
}

fn no_file() -> io::Error {
    io::Error::other("it is no regular file")
}

/// Whether a file is read, by its name.
fn is_read(name: &str) -> bool {
    Path::new(name).extension().is_some_and(|extension| EXTENSIONS.iter().any(|known| extension == *known))
}

impl FileStamp {
    fn of(metadata: &Metadata) -> Self {
        Self { modified: metadata.modified().ok(), length: metadata.len() }
    }
}

const EXTENSIONS: [&str; 3] = ["yaml", "yml", "json"];
