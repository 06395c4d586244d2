//! The data folder on disk.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tempfile::Builder;

use super::super::read::{MAX_LENGTH, read_file};
use super::super::scan::{Links, scan};
use super::{ALL_GOOD, DataDirError, LAST_GOOD, Lock, Texts, copy};

/// The copies in a data folder. Other files are not touched.
#[derive(Debug)]
pub(super) struct Store {
    folder: PathBuf,
    lock: Lock,
    copies: Texts,
}

impl Store {
    /// An incomplete copy is skipped.
    pub(super) fn open(folder: &Path, configs: &[impl AsRef<Path>]) -> Result<Self, DataDirError> {
        fs::create_dir_all(folder)?;
        configs.iter().try_for_each(|config| refuse_overlap(folder, config.as_ref()))?;
        let lock = Lock::take(&folder.join(LOCK))?;
        let mut copies = Texts::new();
        for part in [LAST_GOOD, ALL_GOOD] {
            fs::create_dir_all(folder.join(part))?;
            load(folder, part, &mut copies);
        }
        Ok(Self { folder: folder.to_owned(), lock, copies })
    }

    pub(super) fn copies(&self) -> &Texts {
        &self.copies
    }

    pub(super) fn lock(&self) -> &Lock {
        &self.lock
    }

    /// Writes these copies to the folder; returns whether it has them now. Failures are logged.
    pub(super) fn write(&mut self, wanted: &Texts) -> bool {
        let gone: Vec<_> = self.copies.keys().filter(|path| !wanted.contains_key(*path)).cloned().collect();
        let mut failures = Vec::new();
        for path in gone {
            match self.lock.hold(|| self.remove(&path)) {
                None => return true,
                Some(Err(error)) => failures.push((path, error)),
                Some(Ok(())) => drop(self.copies.remove(&path)),
            }
        }
        for (path, text) in wanted {
            if self.copies.get(path) == Some(text) {
                continue;
            }
            match self.lock.hold(|| self.put(path, text)) {
                None => return true,
                Some(Err(error)) => failures.push((Arc::clone(path), error)),
                Some(Ok(())) => drop(self.copies.insert(Arc::clone(path), Arc::clone(text))),
            }
        }
        if let Some((path, error)) = failures.first() {
            let (count, path) = (failures.len(), self.folder.join(&**path));
            tracing::warn!(count, path = %path.display(), %error, "cannot keep what is good for the next start, will try again");
        }
        failures.is_empty()
    }

    /// If the process or the machine stops in between, the old copy or the new one is left.
    fn put(&self, path: &str, text: &str) -> io::Result<()> {
        let path = self.folder.join(path);
        let parent = path.parent().unwrap_or(&self.folder);
        let is_new = !parent.is_dir();
        fs::create_dir_all(parent)?;
        // Always the same name: the next write takes the place of what an earlier process left of one.
        let mut file = Builder::new()
            .prefix(TEMPORARY)
            .rand_bytes(0)
            .make_in(self.folder.join(LAST_GOOD), |path| File::create(path))?;
        file.write_all(copy::encode(text).as_bytes())?;
        file.as_file().sync_all()?;
        file.persist(&path)?;
        let changed = parent.ancestors().take_while(|folder| folder.starts_with(&self.folder));
        for folder in changed.take(if is_new { usize::MAX } else { 1 }) {
            sync_folder(folder)?;
        }
        Ok(())
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        match fs::remove_file(self.folder.join(path)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        // An empty folder would block a file of the same name.
        for folder in Path::new(path).ancestors().skip(1).filter(|folder| folder.components().count() > 1) {
            if fs::remove_dir(self.folder.join(folder)).is_err() {
                break;
            }
        }
        Ok(())
    }
}

fn load(folder: &Path, part: &str, copies: &mut Texts) {
    let found = scan(&folder.join(part), "", Links::Inside);
    for (name, error) in &found.unreadable {
        tracing::warn!(folder = %folder.join(part).join(name).display(), %error, "cannot read what was last good");
    }
    for name in found.files.into_keys() {
        let path = format!("{part}/{name}");
        match read(&folder.join(&path)) {
            Ok(text) => drop(copies.insert(Arc::from(path), text)),
            Err(error) => {
                tracing::warn!(path = %folder.join(path).display(), %error, "ignoring what was last good");
            }
        }
    }
}

fn read(path: &Path) -> io::Result<Arc<str>> {
    let copy = read_file(path, MAX_LENGTH + HEADER_ROOM)?;
    let text = copy::decode(&copy).ok_or_else(|| {
        io::Error::new(io::ErrorKind::InvalidData, "the content is not what the first line says")
    })?;
    Ok(Arc::from(text))
}

/// Neither folder may be inside the other.
fn refuse_overlap(folder: &Path, config: &Path) -> Result<(), DataDirError> {
    let folder = folder.canonicalize()?;
    let is_inside = config.canonicalize().is_ok_and(|config| {
        folder.starts_with(&config)
            || [LAST_GOOD, ALL_GOOD].iter().any(|part| config.starts_with(folder.join(part)))
    });
    if is_inside { Err(DataDirError::Overlap { config: config.to_owned() }) } else { Ok(()) }
}

/// A rename lasts once its folder is on disk.
#[cfg(unix)]
fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

#[cfg(not(unix))]
fn sync_folder(_: &Path) -> io::Result<()> {
    Ok(())
}

const LOCK: &str = "lock";
/// Under a name that no copy has: hidden files are not read as configuration.
const TEMPORARY: &str = ".new";
const HEADER_ROOM: u64 = 128;
