//! Finds the virtual host that serves an authority.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::config::{DomainPattern, VirtualHost};
use crate::policy::lookup::{Case, ExactTable, Lowered, LoweredBackward, PrefixTrie, TrieText};

/// Finds the virtual host with the best pattern for an authority, at a cost that does not grow with the patterns.
#[derive(Debug)]
pub(super) struct DomainIndex {
    exact: ExactTable<u32>,
    /// Keys are reversed.
    suffixes: PrefixTrie<u32>,
    prefixes: PrefixTrie<u32>,
    any: Option<u32>,
}

impl DomainIndex {
    pub(super) fn new(hosts: &[Arc<VirtualHost>]) -> Self {
        let mut exact = Vec::new();
        let (mut suffixes, mut prefixes) = (BTreeMap::new(), BTreeMap::new());
        let mut any = None;
        for (host, config) in (0..).zip(hosts) {
            for domain in &config.domains {
                // RT-01: ties go to the first virtual host
                match domain {
                    DomainPattern::Exact(name) => exact.push((name.as_str().into(), host)),
                    DomainPattern::Suffix(suffix) => {
                        let mut key = lowered(suffix);
                        key.reverse();
                        suffixes.entry(key).or_insert(host);
                    }
                    DomainPattern::Prefix(prefix) => _ = prefixes.entry(lowered(prefix)).or_insert(host),
                    DomainPattern::Any => _ = any.get_or_insert(host),
                }
            }
        }
        Self {
            exact: ExactTable::new(Case::Ignored, exact), // RT-02
            suffixes: PrefixTrie::new(&suffixes),
            prefixes: PrefixTrie::new(&prefixes),
            any,
        }
    }

    /// RT-01: exact before suffix before prefix before `*`; of one kind the longest.
    #[inline]
    pub(super) fn find(&self, authority: &str) -> Option<usize> {
        let length = authority.len();
        let host = self.exact.get(authority).copied();
        let host = host.or_else(|| longest(&self.suffixes, LoweredBackward(authority), length));
        let host = host.or_else(|| longest(&self.prefixes, Lowered(authority), length));
        host.or(self.any).map(|host| host as usize)
    }
}

/// RT-03: the `*` stands for at least one character.
#[inline]
fn longest<T: TrieText>(patterns: &PrefixTrie<u32>, text: T, length: usize) -> Option<u32> {
    patterns.prefixes_of(text).take_while(|(_, key)| *key < length).last().map(|(host, _)| host)
}

fn lowered(text: &str) -> Vec<u8> {
    text.to_ascii_lowercase().into_bytes()
}
