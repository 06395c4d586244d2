//! The texts of files from when nothing was wrong with them, kept over a restart.
//!
//! ```text
//! View --> LastGood (pure) --> Keeper (task) --> Store (disk): DATA_DIR/last-good/  each file, as it was last good
//!                                                              DATA_DIR/all-good/   what differed when all was good last
//! ```
//!
//! A copy is replaced when no error is known of its file, stays while there is one, and leaves with its file. One file can
//! break another by what it no longer defines, and then each of them is at its best while both together are not. So the
//! texts from when there was no error anywhere are kept too. A restart reads both sets in turn before it reads what is
//! there now, and every object finds what it fell back to before.

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

/// What was last good.
#[derive(Debug, Default)]
pub(crate) struct LastGood {
    each: Texts,
    together: Texts,
}

impl LastGood {
    /// Of every file, the text of which no error was known.
    pub(super) fn each(&self) -> &Texts {
        &self.each
    }

    /// The texts when there was no error anywhere.
    pub(super) fn together(&self) -> &Texts {
        &self.together
    }

    /// Takes over the current texts, except of the files that are broken.
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
