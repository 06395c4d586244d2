//! Writes last good texts to disk, beside the pipeline.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::sleep;

use super::store::Store;
use super::{DataDirError, LastGood, Lock, Texts};
use crate::source::Event;

/// Last good texts, in memory and, a little later, on disk. Writing ends when this is dropped or the lock is released.
#[derive(Debug)]
pub(crate) struct Keeper {
    /// Of all files, broken or not.
    current: Texts,
    last_good: LastGood,
    copies: watch::Sender<Texts>,
    lock: Lock,
}

impl Keeper {
    /// Opens the data folder for the configuration folders; makes it if need be. Needs a tokio runtime.
    pub(crate) fn open(data_dir: &Path, configs: &[impl AsRef<Path>]) -> Result<Self, DataDirError> {
        let store = Store::open(data_dir, configs)?;
        let (last_good, lock) = (LastGood::from_copies(store.copies()), store.lock().clone());
        let (copies, wanted) = watch::channel(Texts::new());
        tokio::spawn(follow(store, wanted));
        Ok(Self { current: Texts::new(), last_good, copies, lock })
    }

    pub(crate) fn last_good(&self) -> &LastGood {
        &self.last_good
    }

    pub(crate) fn lock(&self) -> Lock {
        self.lock.clone()
    }

    /// Takes the texts that have changed.
    pub(crate) fn take(&mut self, events: &[Event]) {
        for event in events {
            match event {
                Event::Text(file, Some(text)) => {
                    drop(self.current.insert(Arc::clone(file), Arc::clone(text)))
                }
                Event::Text(file, None) => drop(self.current.remove(file)),
                _ => {}
            }
        }
    }

    /// Keeps the current texts, except of broken files; returns the broken files that have no earlier text either.
    pub(crate) fn keep(&mut self, broken: &BTreeSet<String>) -> Vec<String> {
        self.last_good.take(&self.current, broken);
        self.copies.send_replace(self.last_good.to_copies());
        let is_kept = |file: &str| self.last_good.each().contains_key(file);
        broken.iter().filter(|file| !file.ends_with('/') && !is_kept(file)).cloned().collect()
    }
}

/// Changes that come during a write are written together.
async fn follow(mut store: Store, mut wanted: watch::Receiver<Texts>) {
    let mut is_written = true;
    loop {
        tokio::select! {
            changed = wanted.changed() => if changed.is_err() { return },
            () = sleep(RETRY), if !is_written => {}
        }
        let copies = wanted.borrow_and_update().clone();
        let written = tokio::task::spawn_blocking(move || {
            let is_written = store.write(&copies);
            (store, is_written)
        });
        // It fails only when the runtime is ending.
        let Ok(done) = written.await else { return };
        (store, is_written) = done;
    }
}

/// How long after a failure the next attempt is made; the disk may have room again.
const RETRY: Duration = Duration::from_secs(30);
