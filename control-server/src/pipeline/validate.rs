//! Checks configuration without serving it.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use std::{fs, io};

use super::engine::Engine;
use crate::source::{Entries, Event, Files, Merge};
use crate::state::{Diagnostic, Severity};

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

/// Everything that is wrong with these inputs taken together, as [`Pipeline`](super::Pipeline) would find it at its
/// start. What one of them refers to must be in another.
pub fn validate(inputs: &[Input]) -> Vec<Diagnostic> {
    let mut merge = Merge::new(inputs.len());
    for (index, input) in inputs.iter().enumerate() {
        let events = match input {
            Input::Text { name, text } => read_text(name, text),
            Input::Path(path) => read_path(path),
        };
        merge.take(index, events);
    }
    let mut engine = Engine::default();
    engine.apply(merge.changes_so_far());
    engine.state().diagnostics.clone()
}

fn read_text(name: &str, text: &str) -> Vec<Event> {
    let mut entries = Entries::default();
    entries.read(name, text);
    entries.take_events()
}

fn read_path(path: &Path) -> Vec<Event> {
    let name = path.display().to_string();
    match fs::metadata(path) {
        Ok(metadata) if metadata.is_dir() => {
            Files::new(path.to_owned(), Duration::ZERO).rescan(Instant::now())
        }
        Ok(_) => match fs::read_to_string(path) {
            Ok(text) => read_text(&name, &text),
            Err(error) => vec![unreadable(name, &error)],
        },
        Err(error) => vec![unreadable(name, &error)],
    }
}

fn unreadable(file: String, error: &io::Error) -> Event {
    let place = file.as_str().into();
    let diagnostic = Diagnostic {
        severity: Severity::Error,
        file,
        line: 0,
        column: 0,
        object: String::new(),
        field: String::new(),
        message: format!("cannot read it: {error}"),
    };
    Event::Diagnostics(place, vec![diagnostic])
}
