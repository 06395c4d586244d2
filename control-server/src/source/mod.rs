//! Sources of objects, and what all of them together say.
//!
//! ```text
//! FileSource --\
//!               +--events, by key--> Merge --changes, by object--> pipeline
//! others -----/
//! ```

mod entries;
mod entry;
mod files;
mod merge;
#[cfg(test)]
mod tests;
mod text;

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use crate::kinds::{Foreign, Object, ObjectId, Refused};
use crate::state::Diagnostic;

pub(crate) use entries::Entries;
pub use files::{DataDirError, Links};
pub(crate) use files::{FileOptions, FileSource, Files, Keeper, Lock, MAX_LENGTH, read_bounded};
pub(crate) use merge::{Change, Changes, Merge, SourceIndex};
pub(crate) use text::TextSource;

/// A source of objects: files, and later an API, a registry, a cluster.
pub(crate) trait Source: fmt::Debug + Send + 'static {
    /// The next events, which take effect together. [`Event::Synced`] ends the first complete set; until it comes from every
    /// source nothing is published. `None`: the source has ended, and its objects stay.
    fn next(&mut self) -> Pin<Box<dyn Future<Output = Option<Vec<Event>>> + Send + '_>>;
}

/// A change at a source.
#[derive(Debug, Clone)]
pub(crate) enum Event {
    /// The object of this key is new, or has changed.
    Upsert(Key, Sourced),
    /// The object of this key has errors, and there is no last good version of it.
    Refuse(Key, Arc<Refused>),
    /// The object of this key is gone, or what was refused of it.
    Delete(Key),
    /// All that is wrong at a place, instead of what was wrong before.
    Diagnostics(Place, Vec<Diagnostic>),
    /// All documents of a place that are none of the known kinds.
    PassedOver(Place, Vec<Foreign>),
    /// The text of a file that has to survive a restart; `None` if the file is gone.
    Text(Place, Option<Arc<str>>),
    /// Whether a part of the place cannot be read, of which nothing was ever read, and which may restrict or pin calls.
    Hidden(Place, bool),
    /// Everything has been read once.
    Synced,
}

/// A file of a source, by its path relative to the source's folder; empty for the source as a whole.
pub(crate) type Place = Arc<str>;

/// Identifies an object of one source.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Key {
    pub(crate) place: Place,
    pub(crate) id: ObjectId,
    /// 0, unless objects before it at this place have the same id.
    pub(crate) index: usize,
}

/// An object of a source.
#[derive(Debug, Clone)]
pub(crate) struct Sourced {
    pub(crate) object: Arc<Object>,
    /// It is the last good version, because the current one is broken.
    pub(crate) stale: bool,
}
