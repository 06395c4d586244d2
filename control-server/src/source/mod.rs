//! Sources of objects.

mod files;

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use crate::kinds::Object;
use crate::state::Diagnostic;

pub use files::DataDirError;
pub(crate) use files::{FileOptions, FileSource, Files, Keeper, Lock, Texts, read_text};

/// A source of objects: files, and later an API, a registry, a cluster.
///
/// A source returns whole views, never changes: the next view repairs a missed one.
pub(crate) trait Source: fmt::Debug + Send + 'static {
    /// The next view. The first one comes when everything has been read once: the source is synced then. `None`: the source
    /// has ended, and the last view stays.
    fn next(&mut self) -> Pin<Box<dyn Future<Output = Option<View>> + Send + '_>>;
}

/// Everything that a source has.
#[derive(Debug, Clone, Default)]
pub(crate) struct View {
    pub(crate) objects: Vec<Sourced>,
    pub(crate) diagnostics: Vec<Diagnostic>,
    /// The texts of files that have to survive a restart.
    pub(crate) texts: Texts,
}

/// An object of a source.
#[derive(Debug, Clone)]
pub(crate) struct Sourced {
    pub(crate) object: Arc<Object>,
    /// It is the last good version, because the current one is broken.
    pub(crate) stale: bool,
}
