//! The objects of a folder's files, and the last good versions of broken ones.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use super::super::entry::{Entry, content_hash};
use super::super::{Entries, Event, Place, SourceIndex};
use super::last_good;
use super::read::{MAX_LENGTH, read_file};
use super::scan::{FileStamp, Links, Scan, scan, scan_file};
use crate::parallel;
use crate::state::{Code, Diagnostic, Severity};

/// The files of a folder.
#[derive(Debug)]
pub(crate) struct Files {
    folder: PathBuf,
    /// Stands before the names of its files, with a `/` at its end; empty for the only folder.
    label: String,
    links: Links,
    /// The only file that is read, whatever its name.
    only: Option<String>,
    entries: Entries,
    /// Diagnostics of entries that could not be scanned.
    diagnostics: Vec<Diagnostic>,
    texts: Texts,
    /// How long a file must not have changed before a change is read.
    quiet: Duration,
    /// When to scan again for files that were being written.
    unsettled: Option<Instant>,
    is_read_once: bool,
}

/// Whether the texts of files are kept beside their objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Texts {
    Kept,
    Dropped,
}

impl Files {
    /// A file that changes after the first scan is read once it has been unchanged for `quiet`.
    pub(crate) fn new(folder: PathBuf, quiet: Duration) -> Self {
        Self {
            folder,
            label: String::new(),
            links: Links::default(),
            only: None,
            entries: Entries::default(),
            diagnostics: Vec::new(),
            texts: Texts::Dropped,
            quiet,
            unsettled: None,
            is_read_once: false,
        }
    }

    /// One file, of any name.
    pub(super) fn only(file: &Path, quiet: Duration) -> Self {
        let folder = file.parent().filter(|parent| !parent.as_os_str().is_empty());
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Self { only: Some(name), ..Self::new(folder.unwrap_or_else(|| Path::new(".")).to_owned(), quiet) }
    }

    pub(crate) fn with_links(self, links: Links) -> Self {
        Self { links, ..self }
    }

    /// The files of the source of this number, whose names begin with a label.
    pub(crate) fn of_source(self, source: SourceIndex, label: String) -> Self {
        Self { entries: Entries::of(source), label, ..self }
    }

    /// Takes these texts as if they had been read just before, instead of what was read until now.
    pub(super) fn remember(&mut self, texts: &last_good::Texts) -> Vec<Event> {
        self.texts = Texts::Kept;
        self.entries.retain(|name| texts.contains_key(name));
        let source = self.entries.source();
        let texts: Vec<_> = texts.iter().filter(|(name, _)| name.starts_with(&self.label)).collect();
        let read = parallel::map(&texts, |(name, text)| read_entry(source, name, text, None));
        for ((name, text), entry) in texts.into_iter().zip(read) {
            self.entries.replace(Arc::clone(name), Entry { text: Some(Arc::clone(text)), ..entry });
        }
        self.entries.take_events()
    }

    /// Removes files that the folder does not have now; the next scan has the events.
    pub(super) fn forget_missing(&mut self) {
        let scan = self.scan();
        self.entries.retain(|name| scan.files.contains_key(name) || scan.hides(name));
    }

    fn scan(&self) -> Scan {
        match &self.only {
            Some(name) => scan_file(&self.folder, &self.label, name),
            None => scan(&self.folder, &self.label, self.links),
        }
    }

    /// Scans the folder, and reads what has changed.
    pub(crate) fn rescan(&mut self, now: Instant) -> Vec<Event> {
        let scan = self.scan();
        self.unsettled = None;
        self.remove_missing(&scan, now);
        if !self.is_read_once {
            self.read_first(&scan);
        }
        for (name, stamp) in &scan.files {
            self.read(name, *stamp, now);
        }
        let mut events = self.entries.take_events();
        let diagnostics: Vec<Diagnostic> =
            scan.unreadable.iter().map(|(name, error)| unreadable_path(name, error)).collect();
        if diagnostics != self.diagnostics {
            let is_hidden = scan.unreadable.iter().any(|(path, _)| !self.knows(path));
            events.push(Event::Hidden(Place::from(""), is_hidden));
            self.diagnostics.clone_from(&diagnostics);
            events.push(Event::Diagnostics(Place::from(""), diagnostics));
        }
        self.is_read_once = true;
        events
    }

    /// Whether anything was read below a path before.
    fn knows(&self, path: &str) -> bool {
        self.entries.iter().any(|(name, _)| name.starts_with(path))
    }

    /// How many files there are, readable or not.
    pub(crate) fn len(&self) -> usize {
        self.entries.iter().count()
    }

    /// When to scan again without an event: a missing or empty file has some time to return, and a file that is being
    /// written to be complete.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let missing = self.entries.iter().filter_map(|(_, entry)| entry.missing_since).min();
        missing.map(|since| since + GRACE).into_iter().chain(self.unsettled).min()
    }

    /// Drops files that stay missing. Editors replace a file by removing it first, and mounts swap whole folders.
    fn remove_missing(&mut self, scan: &Scan, now: Instant) {
        let names: Vec<Place> = self.entries.iter().map(|(name, _)| Arc::clone(name)).collect();
        for name in names.iter().filter(|name| !scan.files.contains_key(&***name)) {
            let Some(entry) = self.entries.get_mut(name) else { continue };
            if scan.hides(name) {
                entry.missing_since = None;
            } else if is_over(*entry.missing_since.get_or_insert(now), now) {
                self.entries.remove(name);
            }
        }
    }

    /// Reads the files of which nothing is known yet, on all cores.
    fn read_first(&mut self, scan: &Scan) {
        let unknown: Vec<_> =
            scan.files.iter().filter(|(name, _)| self.entries.get(name).is_none()).collect();
        let read = parallel::map(&unknown, |(name, stamp)| {
            let name = Place::from(name.as_str());
            let entry = match self.text_of(&name) {
                Ok(text) => self.entry(&name, text, **stamp),
                Err(error) => Entry::unreadable(&name, &error, None),
            };
            (name, entry)
        });
        read.into_iter().for_each(|(name, entry)| self.entries.replace(name, entry));
    }

    fn text_of(&self, name: &str) -> io::Result<String> {
        let relative = name.strip_prefix(&self.label).unwrap_or(name);
        read_file(&self.folder.join(relative), MAX_LENGTH)
    }

    /// A file with this text now.
    fn entry(&self, name: &Place, text: String, stamp: FileStamp) -> Entry {
        let mut entry = read_entry(self.entries.source(), name, &text, self.entries.get(name));
        entry.stamp = Some(stamp);
        entry.text = (self.texts == Texts::Kept).then(|| Arc::from(text));
        entry
    }

    fn read(&mut self, name: &str, stamp: FileStamp, now: Instant) {
        let previous = self.entries.get_mut(name);
        if let Some(entry) = &previous
            && entry.stamp == Some(stamp)
            && entry.missing_since.is_none()
            && !is_racy(stamp)
        {
            return;
        }
        if self.is_read_once && is_younger(stamp, self.quiet) {
            if let Some(entry) = previous {
                entry.missing_since = None;
            }
            self.unsettled = Some(now + self.quiet);
            return;
        }
        let text = match self.text_of(name) {
            Ok(text) => text,
            Err(error) => {
                let entry = Entry::unreadable(name, &error, self.entries.get(name));
                return self.entries.replace(Place::from(name), entry);
            }
        };
        if let Some(entry) = self.entries.get_mut(name) {
            entry.stamp = Some(stamp);
            if entry.hash == Some(content_hash(&text)) {
                entry.missing_since = None;
                return;
            }
            // An empty file may be rewritten, and not filled yet.
            if !is_blank(&text) || entry.objects.is_empty() {
                entry.missing_since = None;
            } else if !is_over(*entry.missing_since.get_or_insert(now), now) {
                return;
            }
        }
        let name = Place::from(name);
        let entry = self.entry(&name, text, stamp);
        self.entries.replace(name, entry);
    }
}

/// The content of one file must never prevent reading the others.
fn read_entry(source: SourceIndex, name: &Place, text: &str, previous: Option<&Entry>) -> Entry {
    catch_unwind(AssertUnwindSafe(|| Entry::read(source, name, text, previous))).unwrap_or_else(|_| Entry {
        hash: Some(content_hash(text)),
        ..Entry::unreadable(name, &io::Error::other("the reader failed"), previous)
    })
}

fn is_over(since: Instant, now: Instant) -> bool {
    now.saturating_duration_since(since) >= GRACE
}

/// Whether a file may change again without another stamp: it has changed just now, and clocks of file systems are
/// coarse.
fn is_racy(stamp: FileStamp) -> bool {
    !matches!(age(stamp), Some(age) if age > RACY)
}

/// Whether a file has changed very recently. A time in the future does not count: a clock is wrong.
fn is_younger(stamp: FileStamp, than: Duration) -> bool {
    age(stamp).is_some_and(|age| age < than)
}

fn age(stamp: FileStamp) -> Option<Duration> {
    SystemTime::now().duration_since(stamp.modified?).ok()
}

fn is_blank(text: &str) -> bool {
    text.lines().map(str::trim).all(|line| line.is_empty() || line.starts_with('#') || line == "---")
}

fn unreadable_path(name: &str, error: &io::Error) -> Diagnostic {
    let what = if name.is_empty() || name.ends_with('/') { "folder" } else { "file" };
    Diagnostic {
        severity: Severity::Error,
        code: Code::Unreadable,
        file: if name.is_empty() { "." } else { name }.to_owned(),
        line: 0,
        column: 0,
        object: String::new(),
        field: String::new(),
        message: format!("cannot read the {what}: {error}; what was last good of it stays in use"),
        clients: Vec::new(),
    }
}

/// How long a file may be missing or empty before its objects are dropped.
const GRACE: Duration = Duration::from_millis(300);
const RACY: Duration = Duration::from_secs(2);
