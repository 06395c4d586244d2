use super::{Report, borders, doc_ids, lock, manifest, pages, shape, words};
use crate::source::Source;
use crate::workspace::File;

/// `line: text` of each violation, without the reason.
fn said(path: &str, text: &str) -> Vec<String> {
    let source = Source::parse(&File::new(path, text));
    words::inspect(&source)
        .into_iter()
        .map(|found| format!("{}: {}", found.line, found.text.split(": ").next().unwrap_or_default()))
        .collect()
}

#[test]
fn forbidden_words_are_found_where_they_are_forbidden() {
    for (name, path, text, expected) in [
        ("tokio in policy", "mesh-core/src/policy/lb/mod.rs", "a\nuse tokio::time;", "2: `tokio`"),
        ("clock in policy", "mesh-core/src/policy/a.rs", "let now = Instant::now();", "1: `Instant::now`"),
        ("random in protocol", "xds-client/src/protocol/a.rs", "rand::rng()", "1: `rand::rng`"),
        ("tokio in tests of policy", "mesh-core/src/policy/a/tests.rs", "#[tokio::test]", "1: `tokio`"),
        ("runtime in config", "mesh-core/src/config/a.rs", "use crate::runtime::X;", "1: `crate::runtime`"),
        ("filter in policy", "mesh-core/src/policy/a.rs", "use crate::filter::X;", "1: `crate::filter`"),
        ("runtime in filter", "mesh-core/src/filter/a.rs", "use crate::runtime::X;", "1: `crate::runtime`"),
        ("tokio in filter", "mesh-core/src/filter/a.rs", "tokio::spawn(a); tokio::time::b()", "1: `tokio`"),
        ("tokio in shared", "mesh-core/src/shared/a.rs", "use tokio::sync::X;", "1: `tokio`"),
        ("HTTP/2 in the request path", "mesh-core/src/runtime/call.rs", "h2::Reason::CANCEL", "1: `h2::`"),
        ("config in shared", "mesh-core/src/shared/a.rs", "use crate::config::X;", "1: `crate::config`"),
        ("xDS in mesh-tonic", "mesh-tonic/src/a.rs", "use xds_proto::pb;", "1: `xds_proto`"),
        ("tonic in mesh-core", "mesh-core/src/runtime/a.rs", "tonic::Status", "1: `tonic`"),
        ("tonic in decoding", "xds-client/src/resource/a.rs", "use tonic::{Code, Status};", "1: `tonic`"),
        ("ignored test", "tests/tests/a.rs", "#[ignore]", "1: `#[ignore`"),
        ("left to do", "mesh-core/src/a.rs", "// TODO: more", "1: `TODO`"),
        ("an actor without a name", "mesh-core/src/a.rs", "/// Nobody waits.", "1: `Nobody`"),
        ("a metaphor", "tests/src/a.rs", "// holds back all news", "1: `news`"),
    ] {
        assert_eq!(said(path, text), [expected], "{name}");
    }
}

#[test]
fn words_are_allowed_outside_their_folders() {
    for (name, path, text) in [
        ("tokio in runtime", "mesh-core/src/runtime/a.rs", "use tokio::time;"),
        ("in a comment", "mesh-core/src/policy/a.rs", "// tokio drives this"),
        ("in a text", "mesh-core/src/policy/a.rs", "let name = \"tokio\";"),
        ("clock in tests", "mesh-core/src/policy/a.rs", "#[cfg(test)]\nmod tests {\n  Instant::now();\n}"),
        ("tonic in transport", "xds-client/src/transport/tonic.rs", "use tonic::Status;"),
        ("status in mesh-tonic", "mesh-tonic/src/a.rs", "tonic::Status::ok()"),
        ("time in filter", "mesh-core/src/filter/a.rs", "tokio::time::sleep(delay).await"),
        ("HTTP/2 in its folder", "mesh-core/src/runtime/connect/http2/a.rs", "use h2::Reason;"),
        ("policy in filter", "mesh-core/src/filter/a.rs", "use crate::policy::matcher::Fraction;"),
        ("a longer name", "mesh-core/src/policy/a.rs", "use tokio_like::x;"),
        ("to do in code", "mesh-core/src/a.rs", "let x = \"TODO\";"),
        ("a word within another", "mesh-core/src/a.rs", "// a newsletter, become official"),
    ] {
        assert_eq!(said(path, text), Vec::<String>::new(), "{name}");
    }
}

#[test]
fn ids_of_rules_are_found_in_docs_of_public_items() {
    let lines = |path: &str, text: &str| {
        let source = Source::parse(&File::new(path, text));
        doc_ids::inspect(&source).into_iter().map(|found| found.line).collect::<Vec<_>>()
    };
    let library = "mesh-core/src/config/a.rs";
    for (name, path, text, expected) in [
        ("an item", library, "/// Fast (LB-74).\n#[derive(Debug)]\npub struct A;", vec![1]),
        (
            "the second line",
            library,
            "/// Fast\n/// (LB-74).\npub(crate) struct A;\n/// LB-75\npub fn b();",
            vec![4],
        ),
        ("a field", "xds-client/src/a.rs", "pub struct A {\n    /// All: TR-01.\n    pub b: u8,\n}", vec![2]),
        ("a plain comment", library, "/// Fast.\n// LB-74\npub struct A;", vec![]),
        ("a private item", library, "/// Fast (LB-74).\nstruct A;", vec![]),
        ("no id", library, "/// UTF-8, A50, HTTP-2.\npub struct A;", vec![]),
        ("no library", "control-server/src/a.rs", "/// Fast (LB-74).\npub struct A;", vec![]),
    ] {
        assert_eq!(lines(path, text), expected, "{name}");
    }
}

#[test]
fn configurations_know_filters_by_their_traits() {
    for (name, config, expected) in [
        ("a trait", "use crate::filter::Filter; struct A(Box<dyn Filter>);", None),
        ("its re-export", "use crate::Filter;", None),
        ("a struct", "use crate::filter::Fault;", Some("filter::fault::Fault")),
        ("by its path", "struct A(crate::filter::Fault);", Some("filter::fault::Fault")),
        ("in a function", "fn a() { let b = super::filter::fault(); }", Some("filter::fault")),
        ("a module", "use crate::filter;", Some("filter")),
        ("something else", "use crate::policy::A; use http::Uri;", None),
    ] {
        let files = [
            ("lib.rs", "mod config; mod filter; mod policy; pub use filter::Filter;"),
            ("config/mod.rs", config),
            ("filter/mod.rs", "mod fault; pub use fault::Fault; pub trait Filter {} pub fn fault() {}"),
            ("filter/fault.rs", "pub struct Fault;"),
            ("policy/mod.rs", "pub struct A;"),
        ];
        let files = files.map(|(path, text)| File::new(format!("mesh-core/src/{path}"), text));
        let found: Vec<_> =
            borders::inspect(&files).unwrap().into_iter().map(|found| found.to_string()).collect();
        let expected: Vec<_> = expected
            .map(|path| {
                let rule = "config may import the traits of filter and nothing else of it";
                format!("mesh-core/src/config: names {path}; {rule}")
            })
            .into_iter()
            .collect();
        assert_eq!(found, expected, "{name}");
    }
}

const MANIFEST: &str =
    "[package]\nname = \"mesh-core\"\n[dependencies]\n# words\n\n[lints]\nworkspace = true\n";

fn manifest_of(path: &str, text: &str) -> Vec<String> {
    manifest::inspect(&File::new(path, text)).iter().map(ToString::to_string).collect()
}

#[test]
fn forbidden_imports_are_found() {
    for (name, added, expected) in [
        ("ours", "[dependencies]\nxds-client.workspace = true", "9: mesh-core may not import xds-client"),
        (
            "in tests",
            "[dev-dependencies]\nexamples = { path = \"x\" }",
            "9: mesh-core may not import examples",
        ),
        (
            "its own section",
            "[dependencies.mesh-tonic]\npath = \"x\"",
            "8: mesh-core may not import mesh-tonic",
        ),
        (
            "for a target",
            "[target.'cfg(unix)'.dependencies]\ntests = \"1\"",
            "9: mesh-core may not import tests",
        ),
        ("tonic", "[dependencies]\ntonic = \"0.14\"", "9: only xds-"),
        ("prost", "[build-dependencies]\nprost = \"0.14\"", "9: only xds-"),
    ] {
        let found = manifest_of("mesh-core/Cargo.toml", &format!("{MANIFEST}{added}\n"));
        let expected = format!("mesh-core/Cargo.toml:{expected}");
        assert!(found.len() == 1 && found[0].starts_with(&expected), "{name}: {found:?}");
    }
}

#[test]
fn manifest_within_the_plan_is_in_order() {
    let tonic = MANIFEST.replace("mesh-core", "mesh-tonic").replace(
        "# words",
        "mesh-core.workspace = true\ntonic = { workspace = true, features = [\"codegen\"] }\n\
         [dev-dependencies]\nexamples.workspace = true",
    );
    assert_eq!(manifest_of("mesh-core/Cargo.toml", MANIFEST), Vec::<String>::new());
    assert_eq!(manifest_of("mesh-tonic/Cargo.toml", &tonic), Vec::<String>::new());
}

#[test]
fn manifest_without_lints_or_name_or_place_is_refused() {
    for (name, path, text, expected) in [
        (
            "lints",
            "mesh-core/Cargo.toml",
            MANIFEST.replace("workspace = true", ""),
            "`[lints] workspace = true`",
        ),
        ("name", "mesh-core/Cargo.toml", MANIFEST.replace("mesh-core", "core"), "the package's name"),
        ("place", "misc/Cargo.toml", MANIFEST.to_owned(), "a crate that the plan"),
    ] {
        let found = manifest_of(path, &text);
        assert!(found.len() == 1 && found[0].contains(expected), "{name}: {found:?}");
    }
}

#[test]
fn lock_file_holds_one_version_and_nothing_unwanted() {
    let text = "[[package]]\nname = \"http\"\nversion = \"1.0.0\"\n[[package]]\nname = \"http\"\nversion = \"0.2.0\"\n\
                [[package]]\nname = \"dashmap\"\n[[package]]\nname = \"syn\"\n[[package]]\nname = \"syn\"\n";
    let found: Vec<_> =
        lock::inspect(&File::new("Cargo.lock", text)).iter().map(|found| found.line).collect();
    assert_eq!(found, [8, 5]);
}

fn shape_of(files: &[(&str, usize)]) -> Report {
    let sources: Vec<_> =
        files.iter().map(|(path, lines)| Source::parse(&File::new(*path, "x\n".repeat(*lines)))).collect();
    let mut report = Report::default();
    shape::inspect(&sources, &mut report);
    report
}

#[test]
fn files_and_folders_keep_their_size() {
    for (name, files, violations, notes) in [
        ("small", vec![("a/src/b.rs", 300)], 0, 0),
        ("near", vec![("a/src/b.rs", 301)], 0, 1),
        ("large", vec![("a/src/b.rs", 401)], 1, 0),
        ("tests", vec![("a/src/b/tests.rs", 600)], 0, 0),
        ("large tests", vec![("a/tests/b.rs", 601)], 1, 0),
        ("deep", vec![("a/src/b/c/d/e.rs", 1)], 0, 0),
        ("too deep", vec![("a/src/b/c/d/e/f.rs", 1)], 1, 0),
        ("beside its folder", vec![("a/src/b.rs", 1), ("a/src/b/c.rs", 1)], 1, 0),
        ("short", vec![("mesh-core/src/a.rs", 39)], 1, 0),
        ("long enough", vec![("mesh-core/src/a.rs", 40)], 0, 0),
        ("short modules", vec![("xds-client/src/a/mod.rs", 9), ("xds-client/src/lib.rs", 9)], 0, 0),
    ] {
        let report = shape_of(&files);
        assert_eq!((report.violations.len(), report.notes.len()), (violations, notes), "{name}: {report:?}");
    }
}

#[test]
fn dead_links_are_found() {
    let exists = |path: &str| ["docs/a.md", "docs/../README.md"].contains(&path);
    for (name, text, expected) in [
        ("beside", "[a](a.md) and [top](../README.md)", None),
        ("with a fragment", "[a](a.md#part) [b](#here)", None),
        ("elsewhere", "[b](https://example.org/x.md)", None),
        ("nowhere", "x\n[b](b.md)", Some("docs/page.md:2: the link b.md leads nowhere")),
    ] {
        let found = pages::inspect(&File::new("docs/page.md", text), exists);
        assert_eq!(found.first().map(ToString::to_string).as_deref(), expected, "{name}");
    }
}

#[test]
fn index_names_every_page() {
    let pages = ["docs/README.md", "docs/a.md", "docs/b.md", "CHANGELOG.md"].map(|path| File::new(path, ""));
    let index = File::new("docs/README.md", "| [a](a.md) | b.md |");
    let found: Vec<_> = pages::inspect_index(&index, &pages).iter().map(ToString::to_string).collect();
    assert_eq!(found, ["docs/README.md: the page b.md is not in the index"]);
}
