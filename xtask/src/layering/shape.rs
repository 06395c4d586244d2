//! Sizes of files, depth of folders, shape of modules.

use std::collections::BTreeSet;

use super::{Report, Violation};
use crate::source::Source;

const MAX_LINES: usize = 400;
const MAX_TEST_LINES: usize = 600;
const NOTED_LINES: usize = 300;
const MAX_INLINE_TESTS: usize = 100;
const MAX_DEPTH: usize = 3;

/// A shorter file belongs to the neighbour that uses it.
const MIN_LINES: usize = 40;
/// The share of shorter files that a library may have, in percent.
const MAX_SHORT_PERCENT: usize = 5;
/// Crates whose files are counted.
const COUNTED: [&str; 3] = ["mesh-core/src/", "mesh-tonic/src/", "xds-client/src/"];

pub(super) fn inspect(sources: &[Source], report: &mut Report) {
    let folders: BTreeSet<&str> =
        sources.iter().filter_map(|source| Some(source.path.rsplit_once('/')?.0)).collect();
    COUNTED.iter().for_each(|path| short_files(sources, path, report));
    for source in sources {
        size(source, report);
        let whole = |text: String| Violation::new(&source.path, 0, text);
        let depth = depth(&source.path);
        if depth > MAX_DEPTH {
            report.violations.push(whole(format!("{depth} folders deep below src; at most {MAX_DEPTH}")));
        }
        if let Some(folder) = source.path.strip_suffix(".rs")
            && folders.contains(folder)
        {
            report.violations.push(whole(format!("stands beside its folder; move it to {folder}/mod.rs")));
        }
    }
}

/// Files that are short because they hold docs and modules, `mod.rs` and `lib.rs`, are no step of their own to read.
fn short_files(sources: &[Source], crate_path: &str, report: &mut Report) {
    let is_counted = |source: &&Source| source.path.starts_with(crate_path) && !source.is_test_file();
    let is_short = |source: &&Source| {
        let name = source.path.rsplit('/').next();
        source.len() < MIN_LINES && !matches!(name, Some("mod.rs" | "lib.rs"))
    };
    let all = sources.iter().filter(is_counted).count();
    let short: Vec<_> = sources.iter().filter(is_counted).filter(is_short).map(|file| &*file.path).collect();
    if short.len() * 100 > all * MAX_SHORT_PERCENT {
        let text = format!(
            "{} of {all} files have under {MIN_LINES} lines, at most {MAX_SHORT_PERCENT} % may: join some of {}",
            short.len(),
            short.join(", ")
        );
        report.violations.push(Violation::new(crate_path, 0, text));
    }
}

fn size(source: &Source, report: &mut Report) {
    let whole = |text: String| Violation::new(&source.path, 0, text);
    let lines = source.len();
    let (limit, near) =
        if source.is_test_file() { (MAX_TEST_LINES, MAX_TEST_LINES) } else { (MAX_LINES, NOTED_LINES) };
    if lines > limit {
        report.violations.push(whole(format!("{lines} lines; at most {limit}: find the second noun in it")));
    } else if lines > near {
        report.notes.push(whole(format!("{lines} lines; the aim is {near}")));
    }
    let inline = source.is_test.iter().filter(|is_test| **is_test).count();
    if !source.is_test_file() && inline > MAX_INLINE_TESTS {
        report
            .notes
            .push(whole(format!("{inline} lines of tests inside; over {MAX_INLINE_TESTS} go to tests.rs")));
    }
}

/// Folders between `src` and the file.
fn depth(path: &str) -> usize {
    path.split_once("/src/").map_or(0, |(_, below)| below.matches('/').count())
}
