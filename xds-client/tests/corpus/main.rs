//! The corpus of the fuzz targets, replayed: no file panics, and those whose names begin with `valid-` or `invalid-`
//! get that verdict.

mod targets;

use std::path::{Path, PathBuf};
use std::{fs, io};

use targets::{TARGETS, Verdict, run};

fn fuzz() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz")
}

/// The names in a folder, sorted.
fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).and_then(Iterator::collect::<io::Result<Vec<_>>>);
    let entries = entries.unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut names: Vec<_> =
        entries.into_iter().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

#[test]
fn every_file_of_the_corpus_has_its_verdict() {
    for (target, _) in TARGETS {
        let folder = fuzz().join("corpus").join(target);
        let mut found = Vec::new();
        for file in names(&folder) {
            let bytes = fs::read(folder.join(&file)).unwrap();
            assert!(bytes.len() < 4096, "{target}/{file} is large");
            let verdict = run(target, &bytes);
            let expected = match file.split('-').next() {
                Some("valid") => Verdict::Accepted,
                Some("invalid") => Verdict::Refused,
                _ => verdict,
            };
            assert_eq!(verdict, expected, "{target}/{file}");
            found.push(verdict);
        }
        assert!(found.contains(&Verdict::Accepted), "{target}");
        assert!(found.contains(&Verdict::Refused), "{target}");
    }
}

#[test]
fn every_target_has_its_file_and_its_corpus() {
    let mut expected: Vec<_> = TARGETS.iter().map(|(target, _)| (*target).to_owned()).collect();
    expected.sort();
    assert_eq!(names(&fuzz().join("corpus")), expected);
    let files: Vec<_> = expected.iter().map(|target| format!("{target}.rs")).collect();
    assert_eq!(names(&fuzz().join("fuzz_targets")), files);
    let manifest = fs::read_to_string(fuzz().join("Cargo.toml")).unwrap();
    for target in expected {
        assert!(manifest.contains(&format!("path = \"fuzz_targets/{target}.rs\"")), "{target}");
    }
}
