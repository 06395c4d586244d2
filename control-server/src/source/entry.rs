//! One file: its objects, and what is wrong with it.

use std::collections::BTreeSet;
use std::hash::Hasher as _;
use std::io;
use std::sync::Arc;
use std::time::Instant;

use super::files::FileStamp;
use super::{Place, SourceIndex, Sourced};
use crate::kinds::workload_entry::SharedLabels;
use crate::kinds::{Decoded, FileId, Foreign, Kind, ObjectId, Outcome, Refused, decode_document};
use crate::state::{Code, Diagnostic, Severity};
use crate::yaml::{Position, SyntaxError, parse, parse_json};

/// The state of a file.
#[derive(Debug, Default)]
pub(super) struct Entry {
    /// `None`: to be read again even without a new stamp.
    pub(super) stamp: Option<FileStamp>,
    /// Of the text that was read last.
    pub(super) hash: Option<u64>,
    /// The text that was read last, if it is to survive a restart.
    pub(super) text: Option<Arc<str>>,
    pub(super) objects: Vec<Sourced>,
    /// Objects with errors, without a last good version.
    pub(super) refused: Vec<Arc<Refused>>,
    pub(super) diagnostics: Vec<Diagnostic>,
    pub(super) passed_over: Vec<Foreign>,
    /// A part of the file cannot be read, nothing was ever read of it, and it may restrict or pin calls.
    pub(super) is_hidden: bool,
    /// Since when the file is missing, or empty though it had objects.
    pub(super) missing_since: Option<Instant>,
}

impl Entry {
    /// Reads a text. A broken part keeps its last good version.
    pub(super) fn read(source: SourceIndex, file: &Place, text: &str, previous: Option<&Self>) -> Self {
        let mut entry = Self { hash: Some(content_hash(text)), ..Self::default() };
        let is_json = file.ends_with(".json");
        let documents = if is_json { parse_json(text).map(|value| vec![value]) } else { parse(text) };
        match documents {
            Ok(documents) => {
                let id = FileId { source, name: Arc::clone(file) };
                let mut decoded: Vec<Decoded> =
                    documents.into_iter().flat_map(|document| decode_document(&id, &document)).collect();
                share_labels(&mut decoded);
                entry.take(decoded, previous);
            }
            Err(error) => {
                entry.diagnostics.push(syntax_error(file, &error, previous));
                entry.is_hidden = is_hidden(previous) && names_restricting_kind(text);
                entry.keep_all(previous);
            }
        }
        entry
    }

    /// A file that exists and cannot be read.
    pub(super) fn unreadable(file: &str, error: &io::Error, previous: Option<&Self>) -> Self {
        let text = previous.and_then(|previous| previous.text.clone());
        let mut entry = Self { text, is_hidden: is_hidden(previous), ..Self::default() };
        entry.keep_all(previous);
        entry.diagnostics.push(whole_file(
            file,
            Code::Unreadable,
            Position::default(),
            &format!("cannot read the file: {error}"),
            previous,
        ));
        entry
    }

    fn take(&mut self, decoded: Vec<Decoded>, previous: Option<&Self>) {
        let mut broken: Vec<Refused> = Vec::new();
        let mut whole: BTreeSet<ObjectId> = BTreeSet::new();
        let mut any_without_name = false;
        for one in decoded {
            self.diagnostics.extend(one.diagnostics);
            match one.outcome {
                Outcome::Object(object) => {
                    whole.insert(object.id.clone());
                    self.objects.push(Sourced { object, stale: false });
                }
                Outcome::Broken(Some(refused)) => broken.push(refused),
                Outcome::Broken(None) => any_without_name = true,
                Outcome::Foreign(foreign) => self.passed_over.push(foreign),
            }
        }
        let is_unknown = |refused: &Refused| !refused.names_hosts;
        self.is_hidden = is_hidden(previous) && (any_without_name || broken.iter().any(is_unknown));
        // An object without a readable name may be any of the earlier objects.
        let ids: BTreeSet<&ObjectId> = broken.iter().map(|refused| &refused.id).collect();
        self.keep(previous, |id| !whole.contains(id) && (any_without_name || ids.contains(id)));
        let known: BTreeSet<&ObjectId> = self.objects.iter().map(|one| &one.object.id).collect();
        let refused = broken.iter().filter(|refused| !known.contains(&refused.id));
        self.refused = refused.cloned().map(Arc::new).collect();
    }

    fn keep_all(&mut self, previous: Option<&Self>) {
        self.keep(previous, |_| true);
        self.refused = previous.map(|previous| previous.refused.clone()).unwrap_or_default();
    }

    fn keep(&mut self, previous: Option<&Self>, wanted: impl Fn(&ObjectId) -> bool) {
        let kept =
            previous.into_iter().flat_map(|previous| &previous.objects).filter(|one| wanted(&one.object.id));
        self.objects.extend(kept.map(|one| Sourced { object: Arc::clone(&one.object), stale: true }));
    }
}

fn share_labels(decoded: &mut [Decoded]) {
    let mut shared = SharedLabels::default();
    for one in decoded {
        if let Outcome::Object(object) = &mut one.outcome
            && let Some(object) = Arc::get_mut(object)
        {
            object.spec.share_labels(&mut shared);
        }
    }
}

/// Whether nothing was ever read of what cannot be read now.
fn is_hidden(previous: Option<&Entry>) -> bool {
    previous.is_none_or(|previous| previous.is_hidden)
}

/// Whether a text that cannot be parsed may hold an object that restricts or pins calls.
fn names_restricting_kind(text: &str) -> bool {
    Kind::ALL.into_iter().any(|kind| kind.restricts_calls() && text.contains(kind.name()))
}

fn syntax_error(file: &str, error: &SyntaxError, previous: Option<&Entry>) -> Diagnostic {
    let language = if file.ends_with(".json") { "JSON" } else { "YAML" };
    let problem = format!("not valid {language}: {}", error.message);
    whole_file(file, Code::InvalidSyntax, error.at, &problem, previous)
}

fn whole_file(file: &str, code: Code, at: Position, problem: &str, previous: Option<&Entry>) -> Diagnostic {
    let consequence = match previous.map(|previous| previous.objects.len()) {
        None | Some(0) => "nothing of this file is in use",
        Some(_) => "what was last good of this file stays in use",
    };
    Diagnostic {
        severity: Severity::Error,
        code,
        file: file.to_owned(),
        line: at.line,
        column: at.column,
        object: String::new(),
        field: String::new(),
        message: format!("{problem}; {consequence}"),
        clients: Vec::new(),
    }
}

pub(super) fn content_hash(text: &str) -> u64 {
    let mut hasher = twox_hash::XxHash64::with_seed(0);
    hasher.write(text.as_bytes());
    hasher.finish()
}
