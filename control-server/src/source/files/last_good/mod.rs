//! The last texts of files without errors, kept over a restart.
//!
//! ```text
//! View --> LastGood (pure) --> Keeper (task) --> Store (disk): DATA_DIR/last-good/  each file's last good text
//!                                                              DATA_DIR/all-good/   texts of the last error-free state
//! ```
//!
//! A copy is replaced while its file has no error, stays while there is one, and is removed with its file. One file can
//! break another by a definition that it drops: then each text is the last good of its file, but not both together. So
//! the texts of the last state without any error are kept too. A restart reads both sets in turn before it reads the
//! current files, and every object has the version that it fell back to before.

mod copy;
mod error;
mod keeper;
mod lock;
mod store;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

pub use error::DataDirError;
pub(crate) use keeper::Keeper;
pub(crate) use lock::Lock;

/// Texts by the paths of their files.
pub(crate) type Texts = BTreeMap<Arc<str>, Arc<str>>;

/// The last good texts.
#[derive(Debug, Default)]
pub(crate) struct LastGood {
    each: Texts,
    together: Texts,
}

impl LastGood {
    /// The last text without a known error, of every file.
    pub(super) fn each(&self) -> &Texts {
        &self.each
    }

    /// The texts of the last state without any error.
    pub(super) fn together(&self) -> &Texts {
        &self.together
    }

    /// Takes the current texts, except of broken files.
    pub(super) fn take(&mut self, current: &Texts, broken: &BTreeSet<String>) {
        self.each.retain(|name, _| current.contains_key(name));
        for (name, text) in current {
            if !broken.contains(&**name) {
                self.each.insert(Arc::clone(name), Arc::clone(text));
            }
        }
        if broken.is_empty() {
            self.together = self.each.clone();
        }
    }

    fn from_copies(copies: &Texts) -> Self {
        let under = |folder: &'static str| {
            copies.iter().filter_map(move |(path, text)| {
                let name = path.strip_prefix(folder)?.strip_prefix('/')?;
                Some((Arc::from(name), Arc::clone(text)))
            })
        };
        let each: Texts = under(LAST_GOOD).collect();
        let mut together = each.clone();
        together.extend(under(ALL_GOOD));
        Self { each, together }
    }

    /// By path under the data folder.
    fn to_copies(&self) -> Texts {
        let path = |folder: &str, name: &str| Arc::from(format!("{folder}/{name}"));
        let each = self.each.iter().map(|(name, text)| (path(LAST_GOOD, name), Arc::clone(text)));
        let older = self.together.iter().filter(|(name, text)| self.each.get(*name) != Some(*text));
        each.chain(older.map(|(name, text)| (path(ALL_GOOD, name), Arc::clone(text)))).collect()
    }
}

const LAST_GOOD: &str = "last-good";
const ALL_GOOD: &str = "all-good";
