//! Finds the policies that a call may match.

use std::collections::{BTreeMap, HashMap};

use crate::policy::lookup::{Case, ExactTable, Forward, PrefixTrie};

use super::RbacRequest;
use super::condition::Condition;
use super::keys::{Key, Ways};

/// Lists of policies by what a call must have to match them. A policy is in the lists of one way to find it: the way whose
/// longest list is the shortest.
#[derive(Debug)]
pub(super) struct Index {
    names: ExactTable<List>,
    name_prefixes: PrefixTrie<List>,
    paths: ExactTable<List>,
    path_prefixes: PrefixTrie<List>,
    /// Policies that every call may match.
    always: List,
    /// The content of all lists: ascending within each.
    policies: Box<[u32]>,
}

/// A list: a range of [`Index::policies`].
#[derive(Debug, Clone, Copy, Default)]
struct List {
    start: u32,
    end: u32,
}

impl Index {
    pub(super) fn new<'c>(conditions: impl Iterator<Item = &'c Condition> + Clone) -> Self {
        let lengths = lengths(conditions.clone());
        let longest = |keys: &Vec<Key>| keys.iter().filter_map(|key| lengths.get(key)).max().copied();
        let mut lists: HashMap<Key, Vec<u32>> = HashMap::new();
        let mut always = Vec::new();
        for (policy, condition) in (0..).zip(conditions) {
            match Ways::of(condition).each().min_by_key(|keys| (longest(keys), keys.len())) {
                None => always.push(policy),
                Some(keys) => keys.into_iter().for_each(|key| {
                    let list = lists.entry(key).or_default();
                    if list.last() != Some(&policy) {
                        list.push(policy);
                    }
                }),
            }
        }
        let mut policies = Vec::new();
        let always = List::append(&mut policies, &always);
        let (mut names, mut paths) = (Vec::new(), Vec::new());
        let (mut name_prefixes, mut path_prefixes) = (BTreeMap::new(), BTreeMap::new());
        for (key, list) in lists {
            let list = List::append(&mut policies, &list);
            match key {
                Key::Name(name) => names.push((name, list)),
                Key::Path(path) => paths.push((path, list)),
                Key::NamePrefix(prefix) => _ = name_prefixes.insert(prefix.as_bytes().to_vec(), list),
                Key::PathPrefix(prefix) => _ = path_prefixes.insert(prefix.as_bytes().to_vec(), list),
            }
        }
        Self {
            names: ExactTable::new(Case::Matters, names),
            name_prefixes: PrefixTrie::new(&name_prefixes),
            paths: ExactTable::new(Case::Matters, paths),
            path_prefixes: PrefixTrie::new(&path_prefixes),
            always,
            policies: policies.into(),
        }
    }

    /// The first policy that `accepts` accepts among those that the call may match.
    pub(super) fn first(&self, request: &RbacRequest<'_>, accepts: impl Fn(u32) -> bool) -> Option<u32> {
        let path = request.path();
        let by_path = self.paths.get(path).copied().into_iter();
        let by_path_prefix = self.path_prefixes.prefixes_of(Forward(path)).map(|(list, _)| list);
        let by_name = request.names().iter().flat_map(|name| {
            let prefixes = self.name_prefixes.prefixes_of(Forward(name)).map(|(list, _)| list);
            self.names.get(name).copied().into_iter().chain(prefixes)
        });
        let lists = by_path.chain(by_path_prefix).chain(by_name).chain([self.always]);
        lists.fold(None, |best, list| {
            let list = &self.policies[list.start as usize..list.end as usize];
            let before_best =
                list.iter().copied().take_while(|policy| best.is_none_or(|best| *policy < best));
            before_best.into_iter().find(|policy| accepts(*policy)).or(best)
        })
    }
}

impl List {
    fn append(policies: &mut Vec<u32>, list: &[u32]) -> Self {
        let start = policies.len() as u32;
        policies.extend_from_slice(list);
        Self { start, end: policies.len() as u32 }
    }
}

/// How many policies each key would find if all were in the lists of all their ways.
fn lengths<'c>(conditions: impl Iterator<Item = &'c Condition>) -> HashMap<Key, u32> {
    let mut lengths = HashMap::new();
    for key in conditions.flat_map(|condition| Ways::of(condition).each()).flatten() {
        *lengths.entry(key).or_default() += 1;
    }
    lengths
}
