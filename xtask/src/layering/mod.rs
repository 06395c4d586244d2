//! Checks the rules of the workspace: which crate may import which, which words are not allowed where, how large a file
//! may be.
//!
//! Every violation is reported at once, with its place and the rule.

mod borders;
mod doc_ids;
mod lock;
mod manifest;
mod pages;
mod shape;
#[cfg(test)]
mod tests;
mod words;

use std::fmt;
use std::path::Path;

use crate::source::Source;
use crate::workspace::{self, File};
use crate::{Failure, output};

/// One place that breaks a rule.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Violation {
    /// The file, relative to the workspace's root.
    pub path: String,
    /// From 1; 0 for the file as a whole.
    pub line: usize,
    /// What is wrong, and the rule.
    pub text: String,
}

impl Violation {
    fn new(path: &str, line: usize, text: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line, text: text.into() }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "{}: {}", self.path, self.text),
            line => write!(f, "{}:{line}: {}", self.path, self.text),
        }
    }
}

/// What was found.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// Rules broken.
    pub violations: Vec<Violation>,
    /// Near the limits; no failure.
    pub notes: Vec<Violation>,
}

/// Looks at the whole workspace.
///
/// # Errors
/// When a file cannot be read.
pub fn inspect(root: &Path) -> Result<Report, Failure> {
    let mut report = Report::default();
    let manifests: Vec<File> = workspace::files(root, "Cargo.toml")?;
    for file in manifests.iter().filter(|file| file.path != "Cargo.toml") {
        report.violations.extend(manifest::inspect(file));
    }
    let files = workspace::files(root, ".rs")?;
    report.violations.extend(borders::inspect(&files)?);
    let sources: Vec<Source> = files.iter().map(Source::parse).collect();
    for source in &sources {
        report.violations.extend(words::inspect(source));
        report.violations.extend(doc_ids::inspect(source));
    }
    shape::inspect(&sources, &mut report);
    report.violations.extend(lock::inspect(&File::read(root, "Cargo.lock")?));
    let all_pages = workspace::files(root, ".md")?;
    for page in &all_pages {
        report.violations.extend(pages::inspect(page, |path| root.join(path).exists()));
    }
    report.violations.extend(pages::inspect_index(&File::read(root, "docs/README.md")?, &all_pages));
    report.violations.sort();
    report.notes.sort();
    Ok(report)
}

/// Fails if any rule is broken; prints what is near a limit.
///
/// # Errors
/// Every violation, one a line.
pub fn check(root: &Path) -> Result<(), Failure> {
    let report = inspect(root)?;
    for note in &report.notes {
        output::line(format_args!("note: {note}"));
    }
    if report.violations.is_empty() {
        return Ok(());
    }
    let lines: Vec<_> = report.violations.iter().map(ToString::to_string).collect();
    Err(Failure::new(format!("{} rules of the house are broken:\n{}", lines.len(), lines.join("\n"))))
}
