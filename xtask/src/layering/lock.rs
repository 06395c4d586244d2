//! What the lock file may and may not hold.

use std::collections::BTreeMap;

use super::Violation;
use crate::workspace::File;

/// Never among the dependencies, however deep, and why.
const FORBIDDEN: [(&str, &str); 7] = [
    ("serde_yaml", "it is no longer maintained; YAML is read with serde-saphyr"),
    ("serde_yml", "it stands on unsafe-libyaml; YAML is read with serde-saphyr"),
    ("envoy-types", "all of Envoy's API is a third of a program's build; xds-proto has what is used"),
    ("openssl", "TLS is rustls"),
    ("dashmap", "it locks in the request path; snapshots are swapped whole"),
    ("backoff", "it is no longer maintained; delays are computed in policy"),
    ("rustls-pemfile", "rustls-pki-types reads PEM"),
];

/// Types of these cross crates: two versions of one do not fit together.
const SINGLE: [&str; 10] =
    ["bytes", "h2", "http", "http-body", "hyper", "prost", "rustls", "tokio", "tonic", "tower"];

pub(super) fn inspect(file: &File) -> Vec<Violation> {
    let mut found = Vec::new();
    let mut lines: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (index, line) in file.text.lines().enumerate() {
        if let Some(name) = line.strip_prefix("name = \"").and_then(|rest| rest.strip_suffix('"')) {
            lines.entry(name).or_default().push(index + 1);
        }
    }
    for (name, why) in FORBIDDEN {
        for line in lines.get(name).into_iter().flatten() {
            found.push(Violation::new(&file.path, *line, format!("{name} is not wanted: {why}")));
        }
    }
    for name in SINGLE {
        for line in lines.get(name).into_iter().flatten().skip(1) {
            let text = format!("a second version of {name}; the workspace holds one");
            found.push(Violation::new(&file.path, *line, text));
        }
    }
    found
}
