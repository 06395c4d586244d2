//! Checks configuration without serving it.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use std::{fs, io};

use super::engine::Engine;
use crate::source::{Files, View, read_text};
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
    let mut all = View::default();
    for input in inputs {
        let view = match input {
            Input::Text { name, text } => read_text(name, text),
            Input::Path(path) => read_path(path),
        };
        all.objects.extend(view.objects);
        all.diagnostics.extend(view.diagnostics);
    }
    let mut engine = Engine::default();
    engine.apply(&all);
    engine.state().diagnostics.clone()
}

fn read_path(path: &Path) -> View {
    let name = path.display().to_string();
    match fs::metadata(path) {
        Ok(metadata) if metadata.is_dir() => {
            let mut files = Files::new(path.to_owned(), Duration::ZERO);
            files.rescan(Instant::now());
            files.view()
        }
        Ok(_) => match fs::read_to_string(path) {
            Ok(text) => read_text(&name, &text),
            Err(error) => unreadable(name, &error),
        },
        Err(error) => unreadable(name, &error),
    }
}

fn unreadable(file: String, error: &io::Error) -> View {
    let diagnostic = Diagnostic {
        severity: Severity::Error,
        file,
        line: 0,
        column: 0,
        object: String::new(),
        field: String::new(),
        message: format!("cannot read it: {error}"),
    };
    View { diagnostics: vec![diagnostic], ..View::default() }
}
