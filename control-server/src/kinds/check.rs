//! Checks that several kinds share.

use std::collections::BTreeSet;

use super::regex;
use crate::finding::{Finding, Findings};
use crate::state::Code;
use crate::yaml::FieldPath;

/// A port number: 1 to 65535.
pub(crate) fn port(number: u32, path: &FieldPath, findings: &mut Findings) {
    if !(1..=65_535).contains(&number) {
        findings.error(path.clone(), format!("found the number {number}, expected a port from 1 to 65535"));
    }
}

/// A regular expression of RE2 that every client reads alike.
pub(crate) fn regex(pattern: &str, path: &FieldPath, findings: &mut Findings) {
    let before = findings.regex_cost;
    if before > MOST_REGEX_COST {
        // Said once; the object is refused, and its other expressions cost nothing.
        return;
    }
    match regex::check(pattern) {
        Ok(size) => findings.regex_cost = before + size + REGEX_BASE_COST,
        Err(reason) => {
            findings.regex_cost = before + REGEX_BASE_COST;
            let shown: String = pattern.chars().take(MOST_SHOWN).collect();
            let message = format!("found `{shown}`, expected a regular expression (RE2): {reason}");
            findings.push(Finding::error(path.clone(), message).code(Code::InvalidRegex));
        }
    }
    if findings.regex_cost > MOST_REGEX_COST {
        let message = "the regular expressions up to here are too many or too large for one object: every client compiles \
                       each of them; use exact values and prefixes, or divide the object";
        findings.push(Finding::error(path.clone(), message).code(Code::InvalidRegex));
    }
}

/// A host name, absolute or short; `*.` in front where `wildcard` says so.
pub(crate) fn host(name: &str, wildcard: Wildcard, path: &FieldPath, findings: &mut Findings) {
    let rest = match (wildcard, name.strip_prefix("*.")) {
        (Wildcard::Allowed, Some(rest)) => rest,
        _ => name,
    };
    if !is_host(rest) {
        findings.error(
            path.clone(),
            format!(
                "found `{name}`, expected a host name such as `orders` or `orders.shop.svc.cluster.local`"
            ),
        );
    }
}

/// Whether a host may start with `*.`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wildcard {
    Allowed,
    Refused,
}

pub(crate) fn is_host(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= 253
        && name.split('.').all(|label| {
            !label.is_empty()
                && label.len() <= 63
                && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
                && !label.starts_with('-')
                && !label.ends_with('-')
        })
}

/// A name as Kubernetes takes it: lower-case letters, digits, `-` and `.`.
pub(crate) fn name(name: &str, path: &FieldPath, findings: &mut Findings) {
    if !is_host(name) || name.bytes().any(|byte| byte.is_ascii_uppercase() || byte == b'_') {
        findings
            .error(path.clone(), format!("found `{name}`, expected lower-case letters, digits, `-` and `.`"));
    }
}

/// Names that must be unique; reports a name that occurs earlier.
pub(crate) fn unique<T: Ord + std::fmt::Display>(
    values: impl IntoIterator<Item = T>,
    path: impl Fn(usize) -> FieldPath,
    findings: &mut Findings,
) {
    let mut seen = BTreeSet::new();
    for (index, value) in values.into_iter().enumerate() {
        if seen.contains(&value) {
            findings.error(path(index), format!("`{value}` occurs twice, expected different ones"));
        }
        seen.insert(value);
    }
}

/// A list with no more items than an API allows.
pub(crate) fn length(found: usize, most: usize, path: &FieldPath, findings: &mut Findings) {
    if found > most {
        findings.error(path.clone(), format!("found {found} items, expected at most {most}"));
    }
}

/// A list with no more items than an API allows, and each of its items.
pub(crate) fn items<T>(
    items: &[T],
    most: usize,
    path: &FieldPath,
    findings: &mut Findings,
    check: impl Fn(&T, &FieldPath, &mut Findings),
) {
    length(items.len(), most, path, findings);
    for (index, item) in items.iter().enumerate() {
        check(item, &path.index(index), findings);
    }
}

/// A valid name of an HTTP header.
pub(crate) fn header_name(name: &str, path: &FieldPath, findings: &mut Findings) {
    if http::HeaderName::from_bytes(name.as_bytes()).is_err() {
        findings.error(path.clone(), format!("found `{name}`, expected a header's name"));
    } else if name.to_ascii_lowercase().starts_with("grpc-") || name.ends_with("-bin") {
        findings
            .warning(path.clone(), "gRPC clients never show this header to routing: the match never holds");
    }
}

/// `exportTo`: namespaces, `.` for the object's own, `*` for all, `~` for none.
pub(crate) fn export_to(namespaces: &[String], path: &FieldPath, findings: &mut Findings) {
    for (index, namespace) in namespaces.iter().enumerate() {
        if !matches!(namespace.as_str(), "*" | "." | "~") {
            name(namespace, &path.index(index), findings);
        }
    }
}

/// A share from 0 to 100; clients count in parts of a million.
pub(crate) fn percent(value: f64, path: &FieldPath, findings: &mut Findings) {
    if !(0.0..=100.0).contains(&value) {
        findings.error(path.clone(), format!("found the number {value}, expected 0 to 100"));
    } else if value > 0.0 && value < 0.0001 {
        findings.error(path.clone(), format!("found the number {value}, expected 0 or at least 0.0001"));
    }
}

/// What all regular expressions of one object may cost, in instructions; about a thousand usual ones.
const MOST_REGEX_COST: u64 = 300_000;
/// Of the smallest expression.
const REGEX_BASE_COST: u64 = 150;
/// Characters of an expression in a message.
const MOST_SHOWN: usize = 500;
