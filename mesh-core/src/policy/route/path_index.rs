//! Finds the routes of a virtual host that may match a path.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use crate::config::Route;
use crate::policy::lookup::{Case, ExactTable, Forward, Lowered, PrefixTrie};
use crate::policy::matcher::PathMatcher;

/// Yields the routes that may match a path, in configured order, without looking at the others.
///
/// Routes with the same key form a list of ascending positions. Only a few lists can match a path: the list of its exact
/// key, one list per configured prefix of it, and the list of regular expressions. They are merged while they are read.
#[derive(Debug)]
pub(super) struct PathIndex {
    /// All lists, one after the other.
    positions: Box<[u32]>,
    exact: ExactTable<List>,
    exact_ignoring_case: ExactTable<List>,
    prefixes: PrefixTrie<List>,
    prefixes_ignoring_case: PrefixTrie<List>,
    expressions: List,
}

/// A part of [`PathIndex::positions`].
#[derive(Debug, Clone, Copy, Default)]
struct List {
    start: u32,
    end: u32,
}

impl PathIndex {
    pub(super) fn new(routes: &[Arc<Route>]) -> Self {
        let mut keys: [BTreeMap<Vec<u8>, Vec<u32>>; 4] = Default::default();
        let mut expressions = Vec::new();
        for (position, route) in (0..).zip(routes) {
            let (kind, text, ignore_case) = match &route.matches.path {
                PathMatcher::Exact { path, ignore_case } => (EXACT, path, *ignore_case),
                PathMatcher::Prefix { prefix, ignore_case }
                | PathMatcher::SeparatedPrefix { prefix, ignore_case } => (PREFIX, prefix, *ignore_case),
                PathMatcher::Regex(_) => {
                    expressions.push(position);
                    continue;
                }
            };
            let text = if ignore_case { text.to_ascii_lowercase() } else { text.clone() };
            keys[kind + usize::from(ignore_case)].entry(text.into_bytes()).or_default().push(position);
        }
        let mut positions = Vec::new();
        let expressions = List::append(&mut positions, &expressions);
        let [exact, exact_ignoring_case, prefixes, prefixes_ignoring_case] = keys.map(|keys| {
            let lists = keys.into_iter().map(|(key, routes)| (key, List::append(&mut positions, &routes)));
            lists.collect::<BTreeMap<_, _>>()
        });
        Self {
            exact: exact_table(Case::Matters, exact),
            exact_ignoring_case: exact_table(Case::Ignored, exact_ignoring_case),
            prefixes: PrefixTrie::new(&prefixes),
            prefixes_ignoring_case: PrefixTrie::new(&prefixes_ignoring_case),
            expressions,
            positions: positions.into(),
        }
    }

    /// The routes that may match `path`: exact paths and prefixes match, expressions and the ends of segments have not been tried.
    #[inline]
    pub(super) fn candidates<'t>(&'t self, path: &'t str) -> Candidates<'t> {
        let list = |table: &ExactTable<List>| table.get(path).copied().unwrap_or_default();
        let lists = [list(&self.exact), list(&self.exact_ignoring_case), self.expressions];
        Candidates { index: self, path, lists, run: &[], bound: 0 }
    }
}

/// The routes that may match a path, in configured order.
///
/// Reads one list up to the first position of another list (a run), then looks for the list of the next run. The cost is
/// linear in the positions read, and no memory is needed for the heads of all lists.
#[derive(Debug)]
pub(super) struct Candidates<'t> {
    index: &'t PathIndex,
    path: &'t str,
    /// The lists that do not come from a trie.
    lists: [List; 3],
    /// The unread rest of the current list.
    run: &'t [u32],
    /// The earliest position of another list: every position before it has been read or is in `run`.
    bound: u32,
}

impl Iterator for Candidates<'_> {
    type Item = usize;

    #[inline]
    fn next(&mut self) -> Option<usize> {
        if self.run.first().is_none_or(|position| *position >= self.bound) {
            self.next_run();
        }
        let (position, rest) = self.run.split_first()?;
        self.run = rest;
        Some(*position as usize)
    }
}

impl<'t> Candidates<'t> {
    fn next_run(&mut self) {
        let index = self.index;
        let prefixes = index.prefixes.prefixes_of(Forward(self.path)).map(|(list, _)| list);
        let folded = index.prefixes_ignoring_case.prefixes_of(Lowered(self.path)).map(|(list, _)| list);
        // Positions before the bound have been read, also in the list of the last run.
        let mut run: &'t [u32] = &[];
        let mut bound = u32::MAX;
        self.lists.into_iter().chain(prefixes).chain(folded).for_each(|list| {
            let list = &index.positions[list.range()];
            let unread = match list.first() {
                Some(first) if *first < self.bound => {
                    &list[list.partition_point(|position| *position < self.bound)..]
                }
                _ => list,
            };
            match (unread.first(), run.first()) {
                (None, _) => {}
                (Some(_), None) => run = unread,
                (Some(head), Some(earliest)) if head < earliest => {
                    bound = *earliest;
                    run = unread;
                }
                (Some(head), Some(_)) => bound = bound.min(*head),
            }
        });
        (self.run, self.bound) = (run, bound);
    }
}

impl List {
    fn append(positions: &mut Vec<u32>, list: &[u32]) -> Self {
        let start = positions.len() as u32;
        positions.extend_from_slice(list);
        Self { start, end: positions.len() as u32 }
    }

    fn range(self) -> Range<usize> {
        self.start as usize..self.end as usize
    }
}

fn exact_table(case: Case, lists: BTreeMap<Vec<u8>, List>) -> ExactTable<List> {
    let text = |key: Vec<u8>| String::from_utf8(key).expect("keys are made of strings").into_boxed_str();
    ExactTable::new(case, lists.into_iter().map(|(key, list)| (text(key), list)))
}

/// The place of each kind of key in [`PathIndex::new`]; the kind that ignores case follows it.
const EXACT: usize = 0;
const PREFIX: usize = 2;
