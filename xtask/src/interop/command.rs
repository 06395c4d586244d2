//! Runs installers.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::Failure;
use crate::workspace::{self, File};

/// What a command printed; its errors if it failed.
pub(super) fn run(command: &mut Command) -> Result<String, Failure> {
    let shown = command.get_program().to_string_lossy().into_owned();
    let result = command.stdin(Stdio::null()).output().map_err(|error| Failure::during(&shown, error))?;
    if result.status.success() {
        return Ok(String::from_utf8_lossy(&result.stdout).trim().to_owned());
    }
    let said = [result.stdout, result.stderr].concat();
    Err(Failure::new(format!(
        "`{shown}` ended with {}: {}",
        result.status,
        String::from_utf8_lossy(&said).trim()
    )))
}

/// Whether `stamp` is a copy of `pinned`.
pub(super) fn is_current(pinned: &Path, stamp: &Path) -> bool {
    matches!((fs::read(pinned), fs::read(stamp)), (Ok(pinned), Ok(stamp)) if pinned == stamp)
}

/// Makes `stamp` a copy of `pinned`.
pub(super) fn stamp(pinned: &Path, stamp: &Path) -> Result<(), Failure> {
    fs::copy(pinned, stamp).map(drop).map_err(|error| Failure::during(stamp.display(), error))
}

/// What programs are made of, as one text: the files of these names in `folder`, and all whose name ends with `suffix`.
pub(super) fn sources(folder: &Path, names: &[&str], suffix: &str) -> Result<String, Failure> {
    let mut files = workspace::files(folder, suffix)?;
    for name in names {
        files.push(File::read(folder, name)?);
    }
    Ok(files.iter().map(|file| format!("== {}\n{}", file.path, file.text)).collect())
}

/// Whether the file `stamp` is this text.
pub(super) fn holds(stamp: &Path, text: &str) -> bool {
    fs::read_to_string(stamp).is_ok_and(|written| written == text)
}

/// Makes the file `stamp` this text.
pub(super) fn write(stamp: &Path, text: &str) -> Result<(), Failure> {
    fs::write(stamp, text).map_err(|error| Failure::during(stamp.display(), error))
}

/// Removes a folder, if it is there.
pub(super) fn clear(folder: &Path) -> Result<(), Failure> {
    if !folder.exists() {
        return Ok(());
    }
    fs::remove_dir_all(folder).map_err(|error| Failure::during(folder.display(), error))
}
