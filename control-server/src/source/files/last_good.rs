//! The texts of files from when nothing was wrong with them, kept over a restart.
//!
//! `DATA_DIR/last-good/` mirrors the configuration folder. A file goes there when no error is known of it, stays as it is
//! while it is broken, and leaves when it leaves the configuration folder.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::{fs, io};

use super::scan::scan;

/// A folder of last good texts.
#[derive(Debug)]
pub(crate) struct LastGood {
    folder: PathBuf,
    texts: BTreeMap<Arc<str>, Arc<str>>,
}

impl LastGood {
    /// Opens it, and makes it if need be. A text that cannot be read is left out.
    pub(crate) fn open(data_dir: &Path) -> io::Result<Self> {
        let folder = data_dir.join("last-good");
        fs::create_dir_all(&folder)?;
        let read = |name: &String| {
            let text = fs::read_to_string(folder.join(name));
            text.inspect_err(|error| tracing::warn!(file = name, %error, "cannot read what was last good"))
                .ok()
        };
        let names = scan(&folder).files.into_keys();
        let texts =
            names.filter_map(|name| read(&name).map(|text| (Arc::from(name), Arc::from(text)))).collect();
        Ok(Self { folder, texts })
    }

    pub(super) fn texts(&self) -> &BTreeMap<Arc<str>, Arc<str>> {
        &self.texts
    }

    /// Takes over the current texts of files, except of those that are broken. What cannot be written is told on the
    /// log and tried again with the next change.
    pub(crate) fn update(&mut self, current: &BTreeMap<Arc<str>, Arc<str>>, broken: &BTreeSet<String>) {
        let gone: Vec<_> = self.texts.keys().filter(|name| !current.contains_key(*name)).cloned().collect();
        for name in gone {
            self.settle(&name, fs::remove_file(self.folder.join(&*name)), None);
        }
        for (name, text) in current {
            if !broken.contains(&**name) && self.texts.get(name) != Some(text) {
                self.settle(name, self.write(name, text), Some(text));
            }
        }
    }

    fn settle(&mut self, name: &Arc<str>, done: io::Result<()>, text: Option<&Arc<str>>) {
        match (done, text) {
            (Err(error), _) if error.kind() != io::ErrorKind::NotFound => {
                tracing::warn!(file = &**name, %error, "cannot keep what is good for the next start");
            }
            (Err(_), _) | (Ok(()), None) => drop(self.texts.remove(name)),
            (Ok(()), Some(text)) => drop(self.texts.insert(name.clone(), text.clone())),
        }
    }

    /// By a rename, so that an end in between leaves the old text.
    fn write(&self, name: &str, text: &str) -> io::Result<()> {
        let path = self.folder.join(name);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        let temporary = path.with_extension("new");
        fs::write(&temporary, text)?;
        fs::rename(&temporary, &path)
    }
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    fn texts(pairs: &[(&str, &str)]) -> BTreeMap<Arc<str>, Arc<str>> {
        pairs.iter().map(|(name, text)| (Arc::from(*name), Arc::from(*text))).collect()
    }

    #[test]
    fn good_texts_survive_and_broken_ones_do_not_replace_them() {
        let folder = TempDir::new().unwrap();
        let mut store = LastGood::open(folder.path()).unwrap();
        store.update(
            &texts(&[("a.yaml", "1"), ("sub/b.yaml", "1"), ("c.yaml", "bad")]),
            &["c.yaml".into()].into(),
        );
        store.update(&texts(&[("a.yaml", "2"), ("sub/b.yaml", "bad")]), &["sub/b.yaml".into()].into());
        let reopened = LastGood::open(folder.path()).unwrap();
        assert_eq!(*reopened.texts(), texts(&[("a.yaml", "2"), ("sub/b.yaml", "1")]));
        store.update(&texts(&[]), &BTreeSet::new());
        assert_eq!(*LastGood::open(folder.path()).unwrap().texts(), texts(&[]));
    }

    #[test]
    fn what_cannot_be_written_is_tried_again() {
        let folder = TempDir::new().unwrap();
        let mut store = LastGood::open(folder.path()).unwrap();
        fs::write(folder.path().join("last-good/sub"), "in the way").unwrap();
        let current = texts(&[("sub/a.yaml", "1")]);
        store.update(&current, &BTreeSet::new());
        fs::remove_file(folder.path().join("last-good/sub")).unwrap();
        store.update(&current, &BTreeSet::new());
        assert_eq!(*LastGood::open(folder.path()).unwrap().texts(), current);
    }
}
