//! A list in chunks.

use std::collections::HashSet;
use std::fmt;
use std::iter::Flatten;
use std::ops::Range;
use std::slice;
use std::sync::Arc;

/// A list that never changes and shares chunks of about 64 elements with the lists that it was made from.
///
/// Use it where successive versions of a long list differ little. A clone is one reference count; one changed element
/// copies one chunk and a pointer per other chunk; [`changes`](Self::changes) and `==` skip what is shared.
pub struct SharedList<T> {
    chunks: Arc<[Arc<[T]>]>,
    len: usize,
}

/// What of a list is not in another one.
///
/// Applied as a whole it is exact. In parts it may be too much: an element that stays may be among both.
#[derive(Debug)]
pub struct Changes<'a, T> {
    /// In the old list, in its order.
    pub removed: Vec<&'a T>,
    /// In the new list, in its order.
    pub added: Vec<&'a T>,
}

impl<T> SharedList<T> {
    /// How many elements there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// All elements, in order.
    pub fn iter(&self) -> Iter<'_, T> {
        Iter { left: self.len, inner: self.chunks.iter().map(chunk as fn(_) -> _).flatten() }
    }

    /// Whether both are the same version, so that they need not be compared.
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.chunks, &other.chunks)
    }

    /// The parts that versions share.
    pub(crate) fn chunks(&self) -> &[Arc<[T]>] {
        &self.chunks
    }

    /// A list of these chunks.
    pub(crate) fn from_chunks(chunks: Vec<Arc<[T]>>) -> Self {
        let len = chunks.iter().map(|chunk| chunk.len()).sum();
        Self { chunks: chunks.into(), len }
    }

    /// The chunks in which two versions differ, as ranges of the first and of the second: what is before and behind is
    /// shared.
    pub(crate) fn differing(old: &Self, new: &Self) -> (Range<usize>, Range<usize>) {
        if old.is_same(new) {
            return (0..0, 0..0);
        }
        let (old, new) = (&old.chunks, &new.chunks);
        let same = |(old, new): &(&Arc<[T]>, &Arc<[T]>)| Arc::ptr_eq(old, new);
        let before = old.iter().zip(new.iter()).take_while(same).count();
        let behind = old[before..].iter().rev().zip(new[before..].iter().rev()).take_while(same).count();
        (before..old.len() - behind, before..new.len() - behind)
    }
}

impl<T: Clone> SharedList<T> {
    /// The list with other elements in place of one chunk's; no empty chunk comes about. Chunks stay between a quarter and twice their size, as far
    /// as a neighbour allows.
    pub(crate) fn with_chunk(&self, at: usize, mut elements: Vec<T>) -> Self {
        let mut range = at..at + 1;
        if elements.len() < CHUNK / 4 {
            let fits = |neighbour: &Arc<[T]>| neighbour.len() + elements.len() <= CHUNK;
            if let Some(next) = self.chunks.get(at + 1).filter(|next| fits(next)) {
                elements.extend(next.iter().cloned());
                range.end += 1;
            } else if let Some(previous) = at.checked_sub(1).map(|at| &self.chunks[at]).filter(|at| fits(at))
            {
                elements.splice(0..0, previous.iter().cloned());
                range.start -= 1;
            }
        }
        let second = if elements.len() > 2 * CHUNK { elements.split_off(CHUNK) } else { Vec::new() };
        let mut chunks = Vec::with_capacity(self.chunks.len() + 1);
        chunks.extend_from_slice(&self.chunks[..range.start]);
        chunks.extend([elements, second].into_iter().filter(|chunk| !chunk.is_empty()).map(Arc::from));
        chunks.extend_from_slice(&self.chunks[range.end..]);
        Self::from_chunks(chunks)
    }
}

impl<T: PartialEq> SharedList<T> {
    /// What was removed from `old` and added to make `new`, whatever way `new` came about.
    ///
    /// Costs a pointer comparison per shared chunk and a comparison per element of the others. A list that shares
    /// nothing is compared element by element.
    pub fn changes<'a>(old: &'a Self, new: &'a Self) -> Changes<'a, T> {
        let mut changes = Changes::default();
        let (of_old, of_new) = Self::differing(old, new);
        let (old, new) = (&old.chunks[of_old], &new.chunks[of_new]);
        let lengths = |chunks: &[Arc<[T]>]| chunks.iter().map(|chunk| chunk.len()).collect::<Vec<_>>();
        if (old.len(), new.len()) == (1, 1) || lengths(old) == lengths(new) {
            // elements have been replaced, here and there, or those of one chunk have changed
            for (old, new) in old.iter().zip(new).filter(|(old, new)| !Arc::ptr_eq(old, new)) {
                changes.compare(&old.iter().collect::<Vec<_>>(), &new.iter().collect::<Vec<_>>());
            }
        } else {
            changes.compare(&beyond(old, new), &beyond(new, old));
        }
        changes
    }
}

impl<T> Changes<'_, T> {
    /// Takes up those of another pair of lists.
    pub(crate) fn extend(&mut self, others: Self) {
        self.removed.extend(others.removed);
        self.added.extend(others.added);
    }
}

impl<T> Default for Changes<'_, T> {
    fn default() -> Self {
        Self { removed: Vec::new(), added: Vec::new() }
    }
}

impl<'a, T: PartialEq> Changes<'a, T> {
    /// Takes up what is between the elements that both begin with and those that both end with.
    fn compare(&mut self, old: &[&'a T], new: &[&'a T]) {
        let same = |(old, new): &(&&T, &&T)| old == new;
        let before = old.iter().zip(new).take_while(same).count();
        let (old, new) = (&old[before..], &new[before..]);
        let behind = old.iter().rev().zip(new.iter().rev()).take_while(same).count();
        self.removed.extend(&old[..old.len() - behind]);
        self.added.extend(&new[..new.len() - behind]);
    }
}

/// The elements of the chunks that are not among `others`.
fn beyond<'a, T>(chunks: &'a [Arc<[T]>], others: &[Arc<[T]>]) -> Vec<&'a T> {
    let others: HashSet<_> = others.iter().map(|chunk| chunk.as_ptr()).collect();
    chunks.iter().filter(|chunk| !others.contains(&chunk.as_ptr())).flat_map(|chunk| chunk.iter()).collect()
}

fn chunk<T>(chunk: &Arc<[T]>) -> &[T] {
    chunk
}

type Chunks<'a, T> = std::iter::Map<slice::Iter<'a, Arc<[T]>>, fn(&'a Arc<[T]>) -> &'a [T]>;

/// All elements of a [`SharedList`], in order.
pub struct Iter<'a, T> {
    left: usize,
    inner: Flatten<Chunks<'a, T>>,
}

impl<'a, T> Iterator for Iter<'a, T> {
    type Item = &'a T;

    fn next(&mut self) -> Option<&'a T> {
        self.left = self.left.saturating_sub(1);
        self.inner.next()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl<T> ExactSizeIterator for Iter<'_, T> {}

impl<T> fmt::Debug for Iter<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Iter").field("left", &self.left).finish_non_exhaustive()
    }
}

impl<T> FromIterator<T> for SharedList<T> {
    fn from_iter<I: IntoIterator<Item = T>>(elements: I) -> Self {
        let mut elements = elements.into_iter();
        let chunks = std::iter::from_fn(|| {
            let chunk: Arc<[T]> = elements.by_ref().take(CHUNK).collect();
            (!chunk.is_empty()).then_some(chunk)
        });
        Self::from_chunks(chunks.collect())
    }
}

impl<'a, T> IntoIterator for &'a SharedList<T> {
    type Item = &'a T;
    type IntoIter = Iter<'a, T>;

    fn into_iter(self) -> Iter<'a, T> {
        self.iter()
    }
}

impl<T: PartialEq> PartialEq for SharedList<T> {
    fn eq(&self, other: &Self) -> bool {
        let (of_self, of_other) = Self::differing(self, other);
        let (own, others) = (&self.chunks[of_self], &other.chunks[of_other]);
        self.len == other.len && own.iter().flat_map(chunk).eq(others.iter().flat_map(chunk))
    }
}

impl<T: Eq> Eq for SharedList<T> {}

impl<T> Clone for SharedList<T> {
    fn clone(&self) -> Self {
        Self { chunks: self.chunks.clone(), len: self.len }
    }
}

impl<T> Default for SharedList<T> {
    fn default() -> Self {
        Self { chunks: Arc::default(), len: 0 }
    }
}

impl<T: fmt::Debug> fmt::Debug for SharedList<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self).finish()
    }
}

/// How many elements a new chunk has.
const CHUNK: usize = 64;
