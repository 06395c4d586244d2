//! What a document is: an object of a known kind, a list of objects, something of others, or a mistake.
//!
//! A folder often holds more than configuration of a mesh: other objects of a cluster, `kustomization.yaml`, `values.yaml`,
//! `Chart.yaml`. They are passed over. An object of a known kind with a mistake in `kind` or `apiVersion` must not be, because
//! it would silently be gone; the rules in [`recognize`] tell the two apart.

use std::fmt;

use super::object::Kind;
use crate::finding::{Finding, Findings};
use crate::state::Code;
use crate::yaml::{FieldPath, Node, Position, Value, did_you_mean, distance};

/// What a document is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Recognized {
    Object(Kind),
    /// A list; items without `kind` and `apiVersion` are of its kind.
    List(Option<Kind>),
    Foreign(Foreign),
}

/// A document that is none of the known kinds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Foreign {
    /// Empty if it has none.
    pub(crate) api_version: String,
    /// Empty if it has none.
    pub(crate) kind: String,
    /// Where it starts.
    pub(crate) at: Position,
}

/// What `node` is; `None` if that is a mistake, which is reported.
///
/// - With `kind` and `apiVersion`: an object, if both are known. It is a mistake if the group of the API has known kinds and the
///   name is nearly one of them, or if the name is known and its group is nearly right. Anything else is foreign.
/// - With `kind` only: a mistake if it is known or nearly so, else foreign.
/// - With `apiVersion` only: a mistake if the group has known kinds only, or if there is `metadata`; else foreign.
/// - With neither: foreign (values of a chart), unless `spec` or a misspelt `kind` or `apiVersion` is among its fields.
///
/// An item of a list of `inherited` may leave out both.
pub(super) fn recognize(node: &Node, inherited: Option<Kind>, findings: &mut Findings) -> Option<Recognized> {
    let root = FieldPath::root();
    let Value::Mapping(entries) = &node.value else {
        let message = format!("found {node}, expected an object with apiVersion, kind, metadata and spec");
        findings.error(root, message);
        return None;
    };
    for name in ["kind", "apiVersion"] {
        if let Some(found) = node.field(name).filter(|found| !matches!(found.value, Value::String(_))) {
            findings.error(root.field(name), format!("found {found}, expected text"));
            return None;
        }
    }
    let missing = |name: &'static str, findings: &mut Findings| {
        findings.missing(root.field(name), "required, but not set");
    };
    let foreign = || {
        let text = |name: &str| node.text(name).unwrap_or_default().to_owned();
        Some(Recognized::Foreign(Foreign {
            api_version: text("apiVersion"),
            kind: text("kind"),
            at: node.at,
        }))
    };
    match (node.text("kind"), node.text("apiVersion")) {
        (Some(kind), Some(version)) => named(kind, version, foreign, findings),
        (None, None) if inherited.is_some() => inherited.map(Recognized::Object),
        (Some("List"), None) => Some(Recognized::List(None)),
        (Some(kind), None) if is_nearly_known(kind) => {
            missing("apiVersion", findings);
            None
        }
        (None, Some(version)) if must_have_kind(version, node) => {
            missing("kind", findings);
            None
        }
        (None, None) if entries.iter().any(|(key, _)| key.name == "spec" || is_misspelt_head(&key.name)) => {
            missing("kind", findings);
            missing("apiVersion", findings);
            None
        }
        _ => foreign(),
    }
}

fn named(
    name: &str,
    version: &str,
    foreign: impl Fn() -> Option<Recognized>,
    findings: &mut Findings,
) -> Option<Recognized> {
    if name == "List" {
        return Some(Recognized::List(None));
    }
    let root = FieldPath::root();
    let of_list = name.strip_suffix("List").and_then(Kind::from_name);
    let kind = Kind::from_name(name).or(of_list);
    let Some(kind) = kind else {
        if has_known_kinds(group(version)) && !is_known_elsewhere(name) && is_nearly_known(name) {
            let names = Kind::ALL.map(Kind::name);
            let message = format!("unknown kind `{name}`{}", did_you_mean(name, names));
            findings.push(Finding::error(root.field("kind"), message).code(Code::UnknownKind));
            return None;
        }
        return foreign();
    };
    let known = kind.api_versions();
    if !known.contains(&version) {
        let is_of_another = !has_known_kinds(group(version))
            && did_you_mean(group(version), known.iter().map(|known| group(known))).is_empty();
        if is_of_another {
            return foreign();
        }
        let message = format!(
            "found `{version}`, expected one of {} for a {name}{}",
            known.join(", "),
            did_you_mean(version, known.iter().copied())
        );
        findings.push(Finding::error(root.field("apiVersion"), message).code(Code::UnknownKind));
    }
    Some(if of_list.is_some() { Recognized::List(of_list) } else { Recognized::Object(kind) })
}

/// The group of an `apiVersion`; empty for Kubernetes' own `v1`.
fn group(version: &str) -> &str {
    version.split_once('/').map_or("", |(group, _)| group)
}

fn has_known_kinds(group_name: &str) -> bool {
    Kind::ALL.iter().any(|kind| kind.api_versions().iter().any(|version| group(version) == group_name))
}

/// Whether an object without a kind is one with a mistake. Helm's charts have a version and no kind, too.
fn must_have_kind(version: &str, node: &Node) -> bool {
    let group = group(version);
    has_known_kinds(group) && (!group.is_empty() || node.field("metadata").is_some())
}

/// Whether a name, or that of a list, is one of a known kind but for a letter or two.
fn is_nearly_known(name: &str) -> bool {
    let name = name.strip_suffix("List").unwrap_or(name);
    Kind::ALL.iter().any(|kind| distance(name, kind.name()) <= 2)
}

fn is_known_elsewhere(name: &str) -> bool {
    ALIKE_ELSEWHERE.contains(&name.strip_suffix("List").unwrap_or(name))
}

/// Whether a field is meant to be `kind` or `apiVersion`.
fn is_misspelt_head(name: &str) -> bool {
    name.eq_ignore_ascii_case("kind") || distance(name, "apiVersion") <= 2
}

impl fmt::Display for Foreign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.kind.as_str(), self.api_version.as_str()) {
            ("", "") => f.write_str("a document without kind and apiVersion"),
            ("", version) => write!(f, "a document of {version} without kind"),
            (kind, "") => write!(f, "{kind} without apiVersion"),
            (kind, version) => write!(f, "{kind} of {version}"),
        }
    }
}

/// Kinds of the same groups whose names are nearly those of known kinds.
const ALIKE_ELSEWHERE: [&str; 3] = ["TCPRoute", "TLSRoute", "UDPRoute"];
