//! Where an object comes from.

use std::sync::Arc;

use crate::yaml::{FieldPath, Node, Position, Positions};

/// Where an object comes from, and where each of its fields stands there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Origin {
    /// A file, or a text with a name.
    File {
        file: FileId,
        /// In the object's document, or its item in a list.
        positions: Positions,
    },
}

/// A file of one of several sources.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FileId {
    /// The number of its source: an earlier one goes first.
    pub(crate) source: usize,
    /// Relative to the source's folder; with the folder's label before it where there are several folders.
    pub(crate) name: Arc<str>,
}

#[cfg(test)]
impl From<&str> for FileId {
    fn from(name: &str) -> Self {
        Self { source: 0, name: name.into() }
    }
}

/// Of two objects that claim the same, the lesser one gets it. Only what the author of an object cannot choose decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Seniority<'a> {
    /// By source, then by file, then by place in it.
    File(usize, &'a str, Position),
}

impl Origin {
    /// The place of `node`, a document of `file` or an item of a list in it.
    pub(crate) fn file(file: &FileId, node: &Node) -> Self {
        Self::File { file: file.clone(), positions: Positions::of(node) }
    }

    /// The name of the file.
    pub(crate) fn name(&self) -> &Arc<str> {
        let Self::File { file, .. } = self;
        &file.name
    }

    /// Where the object starts.
    pub(crate) fn start(&self) -> Position {
        let Self::File { positions, .. } = self;
        positions.start()
    }

    /// Where a field stands, or the deepest part of its path that exists.
    pub(crate) fn position_of(&self, path: &FieldPath) -> Position {
        let Self::File { positions, .. } = self;
        positions.position_of(path)
    }

    /// The order in which objects get what several of them claim.
    pub(crate) fn seniority(&self) -> Seniority<'_> {
        let Self::File { file, positions } = self;
        Seniority::File(file.source, &file.name, positions.start())
    }
}
