//! Sizes of files, depth of folders, shape of modules.

use std::collections::BTreeSet;

use super::{Report, Violation};
use crate::source::Source;

const MAX_LINES: usize = 400;
const MAX_TEST_LINES: usize = 600;
const NOTED_LINES: usize = 300;
const MAX_INLINE_TESTS: usize = 100;
const MAX_DEPTH: usize = 3;

pub(super) fn inspect(sources: &[Source], report: &mut Report) {
    let folders: BTreeSet<&str> =
        sources.iter().filter_map(|source| Some(source.path.rsplit_once('/')?.0)).collect();
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
