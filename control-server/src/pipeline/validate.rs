//! Checks configuration without serving it.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::engine::Engine;
use crate::source::{Entries, Event, Files, Links, MAX_LENGTH, Merge, SourceIndex, read_bounded};
use crate::state::{Code, Diagnostic, Severity};

/// A part of the configuration to check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// A file of any name, or a folder.
    Path(PathBuf),
    /// A text and its name, for example `<stdin>`.
    Text {
        /// Used as the file's path in diagnostics.
        name: String,
        /// YAML.
        text: String,
    },
}

impl Input {
    /// A text from a stream, for example standard input.
    ///
    /// # Errors
    /// It cannot be read, is not UTF-8, or has more than 64 MiB.
    pub fn read(name: impl Into<String>, reader: impl io::Read) -> io::Result<Self> {
        Ok(Self::Text { name: name.into(), text: read_bounded(reader, MAX_LENGTH)? })
    }
}

/// What the inputs are and everything that is wrong with them, taken together, as [`Pipeline`](super::Pipeline) would find it
/// at its start.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Validation {
    /// Sorted by file and line.
    pub diagnostics: Vec<Diagnostic>,
    /// Objects that would be in use.
    pub objects: usize,
    /// Files that were read, a text being one.
    pub files: usize,
    /// Documents that the control server passes over, by file and line.
    pub passed_over: Vec<PassedOver>,
}

/// A document that is none of the kinds that the control server knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PassedOver {
    /// Its file.
    pub file: String,
    /// Line of its first character, from 1.
    pub line: u32,
    /// Column of its first character, from 1.
    pub column: u32,
    /// Its kind and the version of its API, as far as it has them: `Deployment of apps/v1`.
    pub kind: String,
}

/// Everything that is wrong with these inputs taken together. What one of them refers to must be in another.
pub fn validate(inputs: &[Input]) -> Vec<Diagnostic> {
    Validation::of(inputs, Links::Inside).diagnostics
}

impl Validation {
    /// Checks these inputs. What one of them refers to must be in another.
    pub fn of(inputs: &[Input], links: Links) -> Self {
        let mut merge = Merge::new(inputs.len());
        let mut files = 0;
        for (index, input) in inputs.iter().enumerate() {
            let (events, read) = match input {
                Input::Text { name, text } => (read_text(index, name, text), 1),
                Input::Path(path) => read_path(index, path, links),
            };
            merge.take(index, events);
            files += read;
        }
        let mut engine = Engine::default();
        engine.apply(merge.changes_so_far());
        let state = engine.state();
        let passed_over = merge.passed_over().map(|(file, foreign)| PassedOver {
            file: file.to_string(),
            line: foreign.at.line,
            column: foreign.at.column,
            kind: foreign.to_string(),
        });
        Self {
            diagnostics: state.diagnostics.to_vec(),
            objects: state.objects.len(),
            files,
            passed_over: passed_over.collect(),
        }
    }
}

fn read_text(source: SourceIndex, name: &str, text: &str) -> Vec<Event> {
    let mut entries = Entries::of(source);
    entries.read(name, text);
    entries.take_events()
}

/// The events of a file or folder, and how many files were read.
fn read_path(source: SourceIndex, path: &Path, links: Links) -> (Vec<Event>, usize) {
    let name = path.display().to_string();
    match fs::metadata(path) {
        Ok(metadata) if metadata.is_dir() => {
            let files = Files::new(path.to_owned(), Duration::ZERO).with_links(links);
            let mut files = files.of_source(source, String::new());
            let events = files.rescan(Instant::now());
            (events, files.len())
        }
        // A pipe too, which a shell makes of a command's output.
        Ok(_) => match File::open(path).and_then(|file| read_bounded(file, MAX_LENGTH)) {
            Ok(text) => (read_text(source, &name, &text), 1),
            Err(error) => (vec![unreadable(name, &error)], 0),
        },
        Err(error) => (vec![unreadable(name, &error)], 0),
    }
}

fn unreadable(file: String, error: &io::Error) -> Event {
    let place = file.as_str().into();
    let diagnostic = Diagnostic {
        severity: Severity::Error,
        code: Code::Unreadable,
        file,
        line: 0,
        column: 0,
        object: String::new(),
        field: String::new(),
        message: format!("cannot read it: {error}"),
        clients: Vec::new(),
    };
    Event::Diagnostics(place, vec![diagnostic])
}
