//! A folder of YAML and JSON files.
//!
//! ```text
//! notify event --debounce--+
//! periodic rescan ---------+--> scan (names, stamps) --> Files (texts, last good) --> events
//! a file's grace is over --+
//! ```
//!
//! The watcher only reports that something happened; the folder's content is always found by a scan. So a missed event costs
//! only the time until the next rescan.

mod last_good;
mod read;
mod scan;
mod set;
#[cfg(test)]
mod tests;
mod watch;

use std::future::Future;
use std::io;
use std::path::PathBuf;
use std::pin::Pin;
use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until};

use super::{Event, Source, SourceIndex};
use watch::Watch;

pub use last_good::DataDirError;
pub(crate) use last_good::{Keeper, LastGood, Lock};
pub(crate) use read::{MAX_LENGTH, read_bounded};
pub(crate) use scan::FileStamp;
pub use scan::Links;
pub(crate) use set::Files;

/// A folder, or one file, and how it is watched.
#[derive(Debug, Clone)]
pub(crate) struct FileOptions {
    pub(crate) folder: PathBuf,
    /// The number of the source.
    pub(crate) source: SourceIndex,
    /// Stands before the names of its files; empty for the only folder.
    pub(crate) label: String,
    pub(crate) links: Links,
    /// How long events are collected into one scan.
    pub(crate) debounce: Duration,
    /// How often to scan without an event.
    pub(crate) rescan: Duration,
}

/// The objects of a folder's files.
#[derive(Debug)]
pub(crate) struct FileSource {
    options: FileOptions,
    watch: Watch,
    /// `None` while a scan runs.
    files: Option<Files>,
    is_folder: bool,
    is_synced: bool,
}

impl FileSource {
    /// # Errors
    /// The folder or file cannot be read.
    pub(crate) fn open(options: FileOptions) -> io::Result<Self> {
        let is_folder = options.folder.is_dir();
        let (watch, files) = if is_folder {
            std::fs::read_dir(&options.folder)?;
            (Watch::new(&options.folder), Files::new(options.folder.clone(), options.debounce / 2))
        } else {
            std::fs::metadata(&options.folder)?;
            (Watch::nothing(), Files::only(&options.folder, options.debounce / 2))
        };
        let files = files.with_links(options.links).of_source(options.source, options.label.clone());
        Ok(Self { options, watch, files: Some(files), is_folder, is_synced: false })
    }

    /// Starts with last good texts, as if they had been read just before; returns the events of each of their sets.
    pub(crate) fn remember(&mut self, last_good: &LastGood) -> [Vec<Event>; 2] {
        let Some(files) = &mut self.files else { return Default::default() };
        let sets = [last_good.together(), last_good.each()].map(|texts| files.remember(texts));
        files.forget_missing();
        sets
    }

    async fn next_events(&mut self) -> Option<Vec<Event>> {
        loop {
            if self.is_synced {
                self.wait().await;
            }
            let mut files = self.files.take()?;
            let now = Instant::now().into_std();
            let scanned = tokio::task::spawn_blocking(move || {
                let events = files.rescan(now);
                (files, events)
            });
            let (files, mut events) = match scanned.await {
                Ok(scanned) => scanned,
                Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
                // A cancelled scan means that the runtime is ending.
                Err(_) => return None,
            };
            if self.is_folder {
                self.watch.follow(&self.options.folder);
            }
            self.files = Some(files);
            if !self.is_synced {
                self.is_synced = true;
                events.push(Event::Synced);
            }
            if !events.is_empty() {
                return Some(events);
            }
        }
    }

    /// Waits until a scan is due.
    async fn wait(&mut self) {
        let deadline = self.files.as_ref().and_then(Files::deadline).map(Instant::from_std);
        let rescan = Instant::now() + self.options.rescan;
        tokio::select! {
            () = self.watch.changed() => sleep(self.options.debounce).await,
            () = sleep_until(deadline.map_or(rescan, |deadline| deadline.min(rescan))) => {}
        }
    }
}

impl Source for FileSource {
    fn next(&mut self) -> Pin<Box<dyn Future<Output = Option<Vec<Event>>> + Send + '_>> {
        Box::pin(self.next_events())
    }
}
