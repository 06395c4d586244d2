//! A hash table over whole strings, built once.

use super::Case;

/// A hash table over whole strings, built once, with or without regard to ASCII case.
///
/// `HashMap` finds a string without regard to case only if the caller converts it to lower case first, which allocates per
/// request. The hash is not keyed, because entries come from the operator, never from a request.
#[derive(Debug)]
pub(crate) struct ExactTable<V> {
    case: Case,
    entries: Box<[(Box<str>, V)]>,
    /// Linear probing; the number of slots is a power of two, and at most half of them are used.
    slots: Box<[Slot]>,
}

/// An entry's index, and bits of its hash: most different strings differ in these, and need no comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Slot {
    tag: u32,
    entry: u32,
}

impl<V> ExactTable<V> {
    /// A table of these entries; the first of several equal keys wins.
    pub(crate) fn new(case: Case, entries: impl IntoIterator<Item = (Box<str>, V)>) -> Self {
        let entries: Box<[_]> = entries.into_iter().collect();
        let size = if entries.is_empty() { 0 } else { (entries.len() * 2).next_power_of_two() };
        let mut table = Self { case, slots: vec![Slot::FREE; size].into(), entries };
        for (entry, (key, _)) in (0..).zip(&table.entries) {
            let (Ok(free) | Err(free)) = table.find(key);
            if table.slots[free] == Slot::FREE {
                table.slots[free] = Slot { tag: tag(hash(case, key.as_bytes())), entry };
            }
        }
        table
    }

    #[inline]
    pub(crate) fn get(&self, text: &str) -> Option<&V> {
        if self.entries.is_empty() {
            return None;
        }
        let slot = self.find(text).ok()?;
        Some(&self.entries[self.slots[slot].entry as usize].1)
    }

    /// The slot of a key, or the free slot where it would be inserted. The table must not be empty.
    #[inline]
    fn find(&self, text: &str) -> Result<usize, usize> {
        let mask = self.slots.len() - 1;
        let hash = hash(self.case, text.as_bytes());
        let mut at = hash as usize & mask;
        loop {
            let slot = self.slots[at];
            if slot == Slot::FREE {
                return Err(at);
            }
            if slot.tag == tag(hash) && self.is_key(&self.entries[slot.entry as usize].0, text) {
                return Ok(at);
            }
            at = (at + 1) & mask;
        }
    }

    #[inline]
    fn is_key(&self, key: &str, text: &str) -> bool {
        // Most texts have the key's case, and plain equality is the faster test.
        key == text || self.case == Case::Ignored && key.eq_ignore_ascii_case(text)
    }
}

impl Slot {
    const FREE: Self = Self { tag: 0, entry: u32::MAX };
}

fn tag(hash: u64) -> u32 {
    (hash >> 32) as u32
}

/// Eight bytes at a time: multiply to 128 bits, fold the halves.
#[inline]
fn hash(case: Case, text: &[u8]) -> u64 {
    let mix = |hash: u64, word: u64| {
        let word = if case == Case::Ignored { lower(word) } else { word };
        let product = u128::from(hash ^ word ^ INCREMENT) * u128::from(MULTIPLIER);
        (product as u64) ^ (product >> 64) as u64
    };
    let length = text.len() as u64;
    // The last word overlaps the word before it, which is faster than copying the remaining bytes.
    let Some(last) = text.last_chunk() else {
        let word = text.iter().fold(0, |word, byte| word << 8 | u64::from(*byte));
        return mix(length, word);
    };
    let (words, _) = text.as_chunks();
    let hash = words.iter().fold(length, |hash, word| mix(hash, u64::from_le_bytes(*word)));
    mix(hash, u64::from_le_bytes(*last))
}

/// Eight ASCII letters in lower case at once; all other bytes as they are.
#[inline]
fn lower(word: u64) -> u64 {
    let each = |byte: u8| u64::from_ne_bytes([byte; 8]);
    let low_bits = word & each(0x7f);
    let is_from_a = low_bits + each(0x80 - b'A');
    let is_past_z = low_bits + each(0x7f - b'Z');
    let is_upper = (is_from_a & !is_past_z) & !word & each(0x80);
    word | is_upper >> 2
}

/// An odd constant with about as many ones as zeros.
const MULTIPLIER: u64 = 0x9e37_79b9_7f4a_7c15;
/// Added so that words of zeros change the hash, too.
const INCREMENT: u64 = 0xa076_1d64_78bd_642f;

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn table(case: Case, keys: &[&str]) -> ExactTable<usize> {
        ExactTable::new(case, keys.iter().enumerate().map(|(value, key)| ((*key).into(), value)))
    }

    #[test]
    fn every_key_is_found_and_nothing_else() {
        let keys: Vec<String> = (0..10_000).map(|i| format!("/pkg.Service{i}/Method")).collect();
        let table = table(Case::Matters, &keys.iter().map(String::as_str).collect::<Vec<_>>());
        for (value, key) in keys.iter().enumerate() {
            assert_eq!(table.get(key), Some(&value));
            assert_eq!(table.get(&key.to_uppercase()), None);
            assert_eq!(table.get(&key[1..]), None);
        }
    }

    #[test]
    fn key_with_the_hash_of_a_text_is_not_the_text() {
        let hash = hash(Case::Matters, b"text");
        let mut table = table(Case::Matters, &["key"]);
        table.slots = [Slot::FREE; 2].into();
        table.slots[hash as usize & 1] = Slot { tag: tag(hash), entry: 0 };
        assert_eq!(table.get("text"), None);
    }

    /// Within what random numbers would give: slots of a table that is a third full, and no equal tags.
    #[test]
    fn similar_texts_have_different_hashes() {
        type Name = fn(usize) -> String;
        let names: [Name; 5] = [
            |i| format!("{i}"),
            |i| format!("/pkg.Service{i}/Method"),
            |i| format!("/pkg.Service/Method{i}"),
            |i| format!("{i:08}"),
            |i| "a".repeat(i % 100) + &"\0".repeat(i / 100),
        ];
        for (number, name) in names.into_iter().enumerate() {
            for case in [Case::Matters, Case::Ignored] {
                let hashes: Vec<_> = (0..10_000).map(|i| hash(case, name(i).as_bytes())).collect();
                let slots: BTreeSet<_> = hashes.iter().map(|hash| hash % (1 << 15)).collect();
                let tags: BTreeSet<_> = hashes.iter().map(|hash| tag(*hash)).collect();
                assert!(slots.len() > 8_400, "names {number}: {} slots", slots.len());
                assert!(tags.len() > 9_990, "names {number}: {} tags", tags.len());
            }
        }
    }

    #[test]
    fn only_ascii_letters_are_lowered() {
        for byte in 0..=u8::MAX {
            let word = u64::from_le_bytes([byte, b'A', 0, 0xff, b'z', byte, b'Z', b'@']);
            let expected = word.to_le_bytes().map(|byte| byte.to_ascii_lowercase());
            assert_eq!(lower(word).to_le_bytes(), expected);
        }
    }

    #[test]
    fn case_is_ignored_if_configured_and_first_of_equal_keys_wins() {
        let table = table(Case::Ignored, &["Foo.Example.com:8080", "bar", "BAR", ""]);
        assert_eq!(table.get("fOO.eXAMPLE.COM:8080"), Some(&0));
        assert_eq!(table.get("Bar"), Some(&1));
        assert_eq!(table.get(""), Some(&3));
        assert_eq!(table.get("baz"), None);
        assert_eq!(self::table(Case::Matters, &[]).get(""), None);
    }
}
