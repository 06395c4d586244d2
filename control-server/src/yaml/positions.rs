//! Where the fields of a document stand, without the document.

use super::node::{Node, Position, Value};
use super::path::{FieldPath, Segment};

/// The position of every value of a document, by its path: 12 bytes for each. Cheaper than its tree by far, and looked
/// at only for a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Positions {
    start: Position,
    /// By hash, each hash once.
    fields: Box<[Entry]>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Entry {
    hash: u32,
    at: Position,
}

impl Positions {
    /// Of all values of `node`.
    pub(crate) fn of(node: &Node) -> Self {
        let mut fields = Vec::new();
        collect(node, PathHash::ROOT, &mut fields);
        fields.sort_by_key(|entry| entry.hash);
        Self { start: node.at, fields: without_collisions(&fields) }
    }

    /// Where the document starts.
    pub(crate) const fn start(&self) -> Position {
        self.start
    }

    /// The position of `path`, or of the deepest part of it that exists. A scalar has its own position; a mapping or a list
    /// that of its key, because its own first character is on another line.
    pub(crate) fn position_of(&self, path: &FieldPath) -> Position {
        let mut hash = PathHash::ROOT;
        let mut at = self.start;
        for segment in path.segments() {
            hash = match segment {
                Segment::Field(name) => hash.field(name),
                Segment::Index(index) => hash.index(*index),
            };
            let short = hash.short();
            let Ok(found) = self.fields.binary_search_by_key(&short, |entry| entry.hash) else { continue };
            at = self.fields[found].at;
        }
        at
    }
}

fn collect(node: &Node, hash: PathHash, fields: &mut Vec<Entry>) {
    match &node.value {
        Value::Mapping(entries) => {
            for (key, child) in entries {
                let hash = hash.field(&key.name);
                let at = if child.is_collection() { key.at } else { child.at };
                fields.push(Entry { hash: hash.short(), at });
                collect(child, hash, fields);
            }
        }
        Value::Sequence(items) => {
            for (index, child) in items.iter().enumerate() {
                let hash = hash.index(index);
                fields.push(Entry { hash: hash.short(), at: child.at });
                collect(child, hash, fields);
            }
        }
        _ => {}
    }
}

/// Of two paths with the same hash, neither is kept: a message about one of them points at the field around it.
fn without_collisions(sorted: &[Entry]) -> Box<[Entry]> {
    let runs = sorted.chunk_by(|one, other| one.hash == other.hash);
    runs.filter(|run| run.len() == 1).map(|run| run[0]).collect()
}

/// FNV-1a over the segments of a path.
#[derive(Debug, Clone, Copy)]
struct PathHash(u64);

impl PathHash {
    const ROOT: Self = Self(0xcbf2_9ce4_8422_2325);

    fn field(self, name: &str) -> Self {
        name.bytes().fold(self.byte(b'.'), Self::byte)
    }

    fn index(self, index: usize) -> Self {
        index.to_le_bytes().into_iter().fold(self.byte(b'['), Self::byte)
    }

    fn byte(self, byte: u8) -> Self {
        Self((self.0 ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3))
    }

    #[expect(
        clippy::as_conversions,
        clippy::cast_possible_truncation,
        reason = "both halves go into the hash"
    )]
    const fn short(self) -> u32 {
        (self.0 ^ (self.0 >> 32)) as u32
    }
}
