//! The revocation lists in a directory, from one read to the next (gRFC A69).

use std::path::{Path, PathBuf};
use std::sync::Arc;

use mesh_core::certificate::{RevocationList, RevocationLists, UnknownRevocation};

use super::reload::ReadChange;

/// The revocation lists in a directory.
#[derive(Debug, Default)]
pub(super) struct ListDirectory {
    seen: Option<DirectoryContents>,
    lists: Option<Arc<RevocationLists>>,
    changes: u64,
}

/// The files of a directory, sorted by name, each with its content or why it could not be read; or why the directory could not.
pub(super) type DirectoryContents = Result<Vec<(PathBuf, Result<Vec<u8>, String>)>, String>;

impl ListDirectory {
    /// Takes over what a read has given. The reason of a bad read names each file.
    // TLS-25, V3, SEC-12
    pub(super) fn on_read(&mut self, contents: DirectoryContents, unknown: UnknownRevocation) -> ReadChange {
        if self.seen.as_ref() == Some(&contents) {
            return ReadChange::Same;
        }
        let (lists, errors) = parse(&contents);
        self.seen = Some(contents);
        self.changes += 1;
        if errors.is_empty() {
            // The directory is the whole truth: what is not there any more is removed.
            self.lists = Some(Arc::new(RevocationLists::new(lists, unknown)));
            return ReadChange::Good;
        }
        let known = self.lists.as_deref().cloned();
        let known = known.unwrap_or_else(|| RevocationLists::new([], unknown));
        self.lists = Some(Arc::new(known.with_newer(lists)));
        ReadChange::Bad(errors.join("; "))
    }

    /// How often the lists have changed.
    pub(super) fn changes(&self) -> u64 {
        self.changes
    }

    /// The lists; `None` before the first read.
    pub(super) fn lists(&self) -> Option<Arc<RevocationLists>> {
        self.lists.clone()
    }
}

fn parse(contents: &DirectoryContents) -> (Vec<RevocationList>, Vec<String>) {
    let files = match contents {
        Ok(files) => files,
        Err(reason) => return (Vec::new(), vec![reason.clone()]),
    };
    let (mut lists, mut errors) = (Vec::new(), Vec::new());
    for (file, content) in files {
        let read = content.as_deref().map_err(Clone::clone);
        match read.and_then(|content| RevocationList::read(content).map_err(|error| error.to_string())) {
            Ok(read) => lists.extend(read),
            Err(reason) => errors.push(format!("{}: {reason}", file.display())),
        }
    }
    (lists, errors)
}

/// Reads a directory. Blocks. Files whose names begin with a dot, and directories, are not part of it: a mounted volume has some.
pub(super) fn read(directory: &Path) -> DirectoryContents {
    let at = |error: std::io::Error| format!("cannot read {}: {error}", directory.display());
    let mut files = Vec::new();
    for entry in std::fs::read_dir(directory).map_err(at)? {
        let path = entry.map_err(at)?.path();
        let is_hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        if is_hidden || path.is_dir() {
            continue;
        }
        let content = std::fs::read(&path).map_err(|error| error.to_string());
        files.push((path, content));
    }
    files.sort();
    Ok(files)
}
