//! Finds all configured prefixes of a text in one walk.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;

/// A radix trie, built once: yields the value of every key that is a prefix of a text, shortest first.
///
/// Nodes stand in breadth-first order, so that a node's children are neighbours, sorted by their first byte.
#[derive(Debug)]
pub(crate) struct PrefixTrie<V> {
    nodes: Box<[TrieNode<V>]>,
    labels: Box<[u8]>,
    /// The byte that leads to each node from its parent.
    steps: Box<[u8]>,
}

#[derive(Debug)]
struct TrieNode<V> {
    /// The bytes between the parent and this node, without the one that leads to it.
    label: Range<u32>,
    children: Range<u32>,
    value: Option<V>,
}

/// A text in the direction and case in which a trie reads it.
pub(crate) trait TrieText: Copy {
    fn byte(self, at: usize) -> Option<u8>;

    fn continues_with(self, at: usize, label: &[u8]) -> bool;
}

/// The text as it is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Forward<'a>(pub(crate) &'a str);

/// The text in lower case.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lowered<'a>(pub(crate) &'a str);

/// The text from its end, in lower case.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LoweredBackward<'a>(pub(crate) &'a str);

impl TrieText for Forward<'_> {
    #[inline]
    fn byte(self, at: usize) -> Option<u8> {
        self.0.as_bytes().get(at).copied()
    }

    #[inline]
    fn continues_with(self, at: usize, label: &[u8]) -> bool {
        self.0.as_bytes().get(at..at + label.len()) == Some(label)
    }
}

impl TrieText for Lowered<'_> {
    #[inline]
    fn byte(self, at: usize) -> Option<u8> {
        Forward(self.0).byte(at).map(|byte| byte.to_ascii_lowercase())
    }

    #[inline]
    fn continues_with(self, at: usize, label: &[u8]) -> bool {
        let part = self.0.as_bytes().get(at..at + label.len());
        part.is_some_and(|part| {
            part.iter().zip(label).all(|(byte, label)| byte.to_ascii_lowercase() == *label)
        })
    }
}

impl TrieText for LoweredBackward<'_> {
    #[inline]
    fn byte(self, at: usize) -> Option<u8> {
        Lowered(self.0).byte(self.0.len().checked_sub(at + 1)?)
    }

    #[inline]
    fn continues_with(self, at: usize, label: &[u8]) -> bool {
        let text = self.0.as_bytes();
        let part = text.len().checked_sub(at + label.len()).map(|start| &text[start..text.len() - at]);
        part.is_some_and(|part| {
            part.iter().rev().zip(label).all(|(byte, label)| byte.to_ascii_lowercase() == *label)
        })
    }
}

impl<V: Copy> PrefixTrie<V> {
    pub(crate) fn new(entries: &BTreeMap<Vec<u8>, V>) -> Self {
        let entries: Vec<(&[u8], V)> = entries.iter().map(|(key, value)| (key.as_slice(), *value)).collect();
        let (mut nodes, mut labels, mut steps) = (Vec::new(), Vec::new(), Vec::new());
        let mut waiting = VecDeque::new();
        if !entries.is_empty() {
            waiting.push_back((&entries[..], 0));
            steps.push(0); // nothing leads to the root
        }
        while let Some((entries, start)) = waiting.pop_front() {
            let (first, last) = (entries[0].0, entries[entries.len() - 1].0);
            // Keys are sorted: the common prefix of the first and the last key is common to all.
            let end = start + first[start..].iter().zip(&last[start..]).take_while(|(a, b)| a == b).count();
            let label = index(labels.len())..index(labels.len() + end - start);
            labels.extend_from_slice(&first[start..end]);
            let (value, longer) =
                if first.len() == end { (Some(entries[0].1), &entries[1..]) } else { (None, entries) };
            let children_start = steps.len();
            for children in longer.chunk_by(|a, b| a.0[end] == b.0[end]) {
                waiting.push_back((children, end + 1));
                steps.push(children[0].0[end]);
            }
            nodes.push(TrieNode { label, children: index(children_start)..index(steps.len()), value });
        }
        Self { nodes: nodes.into(), labels: labels.into(), steps: steps.into() }
    }

    /// The value and the length of every key that `text` starts with, shortest first.
    #[inline]
    pub(crate) fn prefixes_of<T: TrieText>(&self, text: T) -> PrefixesOf<'_, V, T> {
        PrefixesOf { trie: self, text, next: (!self.nodes.is_empty()).then_some(0), depth: 0 }
    }

    #[inline]
    fn child(&self, node: &TrieNode<V>, step: u8) -> Option<usize> {
        let children = node.children.start as usize..node.children.end as usize;
        let steps = &self.steps[children.clone()];
        // Names with numbers have children for consecutive bytes, whose index needs no search.
        let guess = usize::from(step.wrapping_sub(*steps.first()?));
        let at = if steps.get(guess) == Some(&step) { guess } else { steps.binary_search(&step).ok()? };
        Some(children.start + at)
    }
}

/// A walk from the root towards the longest prefix.
#[derive(Debug)]
pub(crate) struct PrefixesOf<'t, V, T> {
    trie: &'t PrefixTrie<V>,
    text: T,
    next: Option<usize>,
    depth: usize,
}

impl<V: Copy, T: TrieText> Iterator for PrefixesOf<'_, V, T> {
    type Item = (V, usize);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        while let Some(at) = self.next.take() {
            let node = &self.trie.nodes[at];
            let label = &self.trie.labels[node.label.start as usize..node.label.end as usize];
            if !label.is_empty() && !self.text.continues_with(self.depth, label) {
                return None;
            }
            self.depth += label.len();
            let found = node.value.map(|value| (value, self.depth));
            self.next = self.text.byte(self.depth).and_then(|step| self.trie.child(node, step));
            self.depth += 1;
            if found.is_some() {
                return found;
            }
        }
        None
    }
}

/// An index into the trie's arrays; 32 bits are enough, since a configuration has less than 2^32 bytes of prefixes.
fn index(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn yields_exactly_the_keys_that_the_text_starts_with(
            keys in prop::collection::vec("[abAB]{0,5}", 0..20),
            text in "[abAB]{0,7}",
        ) {
            let trie = |keys: &mut dyn Iterator<Item = String>| {
                PrefixTrie::new(&keys.map(|key| (key.clone().into_bytes(), key.len())).collect())
            };
            let lower = text.to_lowercase();
            let backward: String = lower.chars().rev().collect();
            let forward: Vec<_> = trie(&mut keys.iter().cloned()).prefixes_of(Forward(&text)).collect();
            let lowered = trie(&mut keys.iter().map(|key| key.to_lowercase()));
            let expected = |text: &str, keys: &mut dyn Iterator<Item = String>| {
                let mut lengths: Vec<_> =
                    keys.filter(|key| text.starts_with(key.as_str())).map(|key| (key.len(), key.len())).collect();
                lengths.sort_unstable();
                lengths.dedup();
                lengths
            };
            prop_assert_eq!(forward, expected(&text, &mut keys.iter().cloned()));
            let lower_keys = || keys.iter().map(|key| key.to_lowercase());
            let found: Vec<_> = lowered.prefixes_of(Lowered(&text)).collect();
            prop_assert_eq!(found, expected(&lower, &mut lower_keys()));
            let found: Vec<_> = lowered.prefixes_of(LoweredBackward(&text)).collect();
            prop_assert_eq!(found, expected(&backward, &mut lower_keys()));
        }
    }
}
