//! The arrows between crates, as their manifests draw them.

use super::Violation;
use crate::workspace::File;

/// Which crate may import which: the crate, what its sources may import, what its tests may import besides.
const ARROWS: [(&str, &[&str], &[&str]); 12] = [
    ("mesh-core", &[], &[]),
    ("xds-proto", &[], &[]),
    ("xds-client", &["mesh-core", "xds-proto"], &[]),
    ("mesh-tonic", &["mesh-core", "xds-client"], &["examples"]),
    ("mesh-hyper", &["mesh-core", "xds-client"], &["examples"]),
    ("control-server", &["mesh-core", "xds-client", "xds-proto"], &[]),
    // The demo starts itself as control-server, so that one command builds all of it.
    ("examples", &["mesh-core", "xds-client", "mesh-tonic", "mesh-hyper", "control-server"], &[]),
    // As the demo does: a bench of the control-server starts itself as one.
    ("benches", &["mesh-core", "xds-client", "mesh-tonic", "mesh-hyper", "control-server", "examples"], &[]),
    ("tests", OURS, &[]),
    // A stranger's program, which has nothing of ours that brings dependencies of its own.
    ("tests/ring-service", &["mesh-tonic"], &[]),
    ("xtask", &[], &[]),
    ("fuzz", &["mesh-core", "xds-client", "xds-proto"], &[]),
];

/// Every crate that another may import.
const OURS: &[&str] = &[
    "mesh-core",
    "xds-proto",
    "xds-client",
    "mesh-tonic",
    "mesh-hyper",
    "control-server",
    "examples",
    "xtask",
];

/// Dependencies that only some crates may have.
const RESERVED: [(&str, &[&str]); 2] = [
    ("prost", &["xds-proto", "xds-client", "control-server", "examples", "tests", "fuzz"]),
    (
        "tonic",
        &[
            "xds-proto",
            "xds-client",
            "mesh-tonic",
            "control-server",
            "examples",
            "benches",
            "tests",
            "tests/ring-service",
        ],
    ),
];

/// A line of a manifest that names a dependency.
struct Dependency<'a> {
    name: &'a str,
    line: usize,
    is_dev: bool,
}

pub(super) fn inspect(file: &File) -> Vec<Violation> {
    let folder = file.path.trim_end_matches("/Cargo.toml");
    let violation = |line, text: String| Violation::new(&file.path, line, text);
    let Some((_, imports, in_tests)) = ARROWS.iter().find(|(name, ..)| *name == folder) else {
        return vec![violation(0, "a crate that the plan of the house does not know".to_owned())];
    };
    let mut found = Vec::new();
    let own_name = folder.rsplit('/').next().unwrap_or(folder);
    if value(&file.text, "package", "name") != Some(format!("\"{own_name}\"").as_str()) {
        found.push(violation(0, format!("the package's name is its folder's, `{own_name}`")));
    }
    // A crate that is a workspace of its own has no lints to inherit.
    let is_own_workspace = sections(&file.text).any(|(_, section, _)| section == "workspace");
    if value(&file.text, "lints", "workspace") != Some("true") && !is_own_workspace {
        found.push(violation(0, "`[lints] workspace = true` is missing".to_owned()));
    }
    for dependency in dependencies(&file.text) {
        let Dependency { name, line, is_dev } = dependency;
        // Tests of a crate may want features of it.
        let is_allowed = imports.contains(&name) || (is_dev && (in_tests.contains(&name) || name == folder));
        if (OURS.contains(&name) || ARROWS.iter().any(|(known, ..)| *known == name)) && !is_allowed {
            found.push(violation(line, format!("{folder} may not import {name}")));
        }
        if let Some((_, crates)) = RESERVED.iter().find(|(reserved, _)| *reserved == name)
            && !crates.contains(&folder)
            && !is_dev
        {
            found.push(violation(line, format!("only {} may import {name}", crates.join(", "))));
        }
    }
    found
}

/// The lines of a manifest with the section they stand in, from 1.
fn sections(text: &str) -> impl Iterator<Item = (usize, &str, &str)> {
    let mut section = "";
    text.lines().enumerate().map(move |(index, line)| {
        let line = line.trim();
        if let Some(header) = line.strip_prefix('[') {
            section = header.trim_matches(['[', ']']);
        }
        (index + 1, section, line)
    })
}

fn value<'a>(text: &'a str, section: &str, key: &str) -> Option<&'a str> {
    sections(text).filter(|(_, found, _)| *found == section).find_map(|(_, _, line)| {
        let (name, value) = line.split_once('=')?;
        (name.trim() == key).then(|| value.trim())
    })
}

fn dependencies(text: &str) -> impl Iterator<Item = Dependency<'_>> {
    sections(text).filter_map(|(line, section, content)| {
        // `[target.'cfg(unix)'.dev-dependencies.name]` has all three parts that may occur.
        let at = section.find("dependencies")?;
        let is_dev = section[..at].ends_with("dev-");
        let after = &section[at + "dependencies".len()..];
        let name = match after.strip_prefix('.') {
            Some(name) if content.starts_with('[') => name,
            Some(_) => return None,
            None if content.starts_with(['[', '#']) || content.is_empty() => return None,
            None => content.split(['=', '.', ' ']).next()?,
        };
        Some(Dependency { name, line, is_dev })
    })
}
