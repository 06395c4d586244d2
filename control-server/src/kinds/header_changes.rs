//! Header changes of routes, for all kinds.

use std::collections::BTreeSet;

use super::check;
use crate::finding::Findings;
use crate::yaml::FieldPath;

/// Changes to the headers of requests and of responses.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct HeaderChanges {
    pub(crate) request: HeaderEdits,
    pub(crate) response: HeaderEdits,
}

/// Changes of the headers of one direction: removals first, then written headers in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct HeaderEdits {
    /// Names in lower case.
    pub(crate) removed: Vec<String>,
    pub(crate) written: Vec<WrittenHeader>,
}

/// A header that a route writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct WrittenHeader {
    /// In lower case.
    pub(crate) name: String,
    /// As it is sent: nothing in it is replaced.
    pub(crate) value: String,
    pub(crate) mode: WriteMode,
}

/// What happens to existing values of the header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WriteMode {
    /// They are removed.
    Set,
    /// They stay, and the written one follows.
    Add,
}

impl HeaderChanges {
    /// Both changes as one, `later` after these.
    pub(crate) fn then(&self, later: &Self) -> Self {
        Self { request: self.request.then(&later.request), response: self.response.then(&later.response) }
    }
}

impl HeaderEdits {
    /// From pairs of name and value to set, such pairs to add, and names to remove.
    pub(crate) fn new(
        set: impl IntoIterator<Item = (String, String)>,
        add: impl IntoIterator<Item = (String, String)>,
        remove: impl IntoIterator<Item = String>,
    ) -> Self {
        let write = |mode| {
            move |(name, value): (String, String)| WrittenHeader {
                name: name.to_ascii_lowercase(),
                value,
                mode,
            }
        };
        let set = set.into_iter().map(write(WriteMode::Set));
        let add = add.into_iter().map(write(WriteMode::Add));
        Self {
            removed: remove.into_iter().map(|name| name.to_ascii_lowercase()).collect(),
            written: set.chain(add).collect(),
        }
    }

    /// A header that is written here and removed later is only removed.
    fn then(&self, later: &Self) -> Self {
        let stays = |header: &&WrittenHeader| !later.removed.contains(&header.name);
        let removed: BTreeSet<&String> = self.removed.iter().chain(&later.removed).collect();
        Self {
            removed: removed.into_iter().cloned().collect(),
            written: self.written.iter().filter(stays).chain(&later.written).cloned().collect(),
        }
    }
}

/// The name of a header that a route may change.
pub(crate) fn check_name(name: &str, path: &FieldPath, findings: &mut Findings) {
    let lower = name.to_ascii_lowercase();
    if lower.starts_with(':') || PROTECTED.contains(&lower.as_str()) {
        findings.error(
            path.clone(),
            format!("found `{name}`, which belongs to the connection or the call itself"),
        );
    } else if lower.starts_with("grpc-") {
        findings.error(
            path.clone(),
            format!("found `{name}`: names with `grpc-` in front are reserved for gRPC"),
        );
    } else if http::HeaderName::from_bytes(name.as_bytes()).is_err() {
        findings.error(path.clone(), format!("found `{name}`, expected a header's name"));
    }
}

/// The value that a route gives to the header `name`.
pub(crate) fn check_value(name: &str, value: &str, path: &FieldPath, findings: &mut Findings) {
    if value.is_empty() {
        findings.error(path.clone(), "found an empty text, expected a value");
    } else if value.len() > LONGEST_VALUE {
        let message = format!("found {} bytes, expected at most {LONGEST_VALUE}", value.len());
        findings.error(path.clone(), message);
    } else if !value.bytes().all(|byte| matches!(byte, b' '..=b'~')) || value.trim() != value {
        let message = "expected printable ASCII characters, without a space at the start or the end";
        findings.error(path.clone(), message);
    } else if name.to_ascii_lowercase().ends_with("-bin") && !is_base64(value) {
        findings.error(
            path.clone(),
            format!("found `{value}`, expected base64, because the name ends in `-bin`"),
        );
    }
}

/// Names that differ, whatever their case.
pub(crate) fn check_unique<'a>(
    names: impl IntoIterator<Item = &'a String>,
    path: impl Fn(usize) -> FieldPath,
    findings: &mut Findings,
) {
    check::unique(names.into_iter().map(|name| name.to_ascii_lowercase()), path, findings);
}

fn is_base64(value: &str) -> bool {
    let digits = value.trim_end_matches('=');
    let padding = value.len() - digits.len();
    let is_digit = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    digits.bytes().all(is_digit)
        && digits.len() % 4 != 1
        && (padding == 0 || value.len().is_multiple_of(4) && padding < 3)
}

/// The note about every change: which clients make it.
pub(crate) const EFFECT: &str =
    "done by mesh-tonic and Envoy; ignored by other gRPC clients, which do not change headers";

/// HTTP/2 or gRPC writes these headers, and a call fails if they are changed.
const PROTECTED: [&str; 9] = [
    "connection",
    "content-length",
    "host",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Envoy's limit.
const LONGEST_VALUE: usize = 16_384;

#[cfg(test)]
mod tests {
    use super::*;

    /// One header may be set, added and removed.
    fn edits(set: Option<&str>, add: Option<&str>, remove: bool) -> HeaderEdits {
        let pair = |value: &str| ("X".to_owned(), value.to_owned());
        HeaderEdits::new(set.map(pair), add.map(pair), remove.then(|| "x".to_owned()))
    }

    /// The headers that a message with these has afterwards.
    fn apply(edits: &HeaderEdits, headers: &[(&str, &str)]) -> Vec<(String, String)> {
        let mut headers: Vec<(String, String)> =
            headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        headers.retain(|(name, _)| !edits.removed.contains(name));
        for WrittenHeader { name, value, mode } in &edits.written {
            if *mode == WriteMode::Set {
                headers.retain(|(known, _)| known != name);
            }
            headers.push((name.clone(), value.clone()));
        }
        headers.sort();
        headers
    }

    /// All pairs out of every way to change one header, on messages without it, with it once and twice.
    #[test]
    fn composed_edits_equal_both_in_sequence() {
        let choice = |bits: u8| {
            edits((bits & 1 > 0).then_some("set"), (bits & 2 > 0).then_some("added"), bits & 4 > 0)
        };
        let choices: Vec<HeaderEdits> = (0..8).map(choice).collect();
        let messages: [&[(&str, &str)]; 3] =
            [&[], &[("x", "old")], &[("x", "old"), ("x", "older"), ("y", "z")]];
        for first in &choices {
            for second in &choices {
                for message in messages {
                    let between = apply(first, message);
                    let between: Vec<(&str, &str)> =
                        between.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
                    let found = apply(&first.then(second), message);
                    assert_eq!(found, apply(second, &between), "{first:?}, then {second:?}, on {message:?}");
                }
            }
        }
    }

    #[test]
    fn base64_is_decoded_with_and_without_padding() {
        for good in ["YQ", "YQ==", "YWI", "YWI=", "YWJj", "+/+/"] {
            assert!(is_base64(good), "{good}");
        }
        for bad in ["Y", "YQ=", "YW-j", "a b", "YWJj====", "="] {
            assert!(!is_base64(bad), "{bad}");
        }
    }
}
