//! A growing array, stored as a tree.

use std::sync::Arc;

/// Chunks of elements.
type Group<T> = Arc<[Arc<[T]>]>;

/// A growing array that one owner changes. A clone is a snapshot: it does not see later changes.
///
/// A clone increments one reference count. A change copies one chunk of 16 elements and a few dozen pointers.
#[derive(Debug)]
pub(crate) struct SharedTable<T> {
    /// Every group is full except the last, which is not empty. The same holds for the chunks of a group.
    groups: Arc<[Group<T>]>,
    len: usize,
}

impl<T> SharedTable<T> {
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    #[inline]
    pub(crate) fn get(&self, at: usize) -> Option<&T> {
        self.groups.get(at / GROUP)?.get(at / CHUNK % CHUNKS)?.get(at % CHUNK)
    }

    /// All elements, in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.groups.iter().flat_map(|group| group.iter()).flat_map(|chunk| chunk.iter())
    }
}

impl<T: Clone> SharedTable<T> {
    /// Replaces the element at index `at`; does nothing past the end.
    pub(crate) fn set(&mut self, at: usize, element: T) {
        if at < self.len {
            let group = &mut Arc::make_mut(&mut self.groups)[at / GROUP];
            let chunk = &mut Arc::make_mut(group)[at / CHUNK % CHUNKS];
            Arc::make_mut(chunk)[at % CHUNK] = element;
        }
    }

    pub(crate) fn push(&mut self, element: T) {
        let at = self.len;
        self.len += 1;
        if at.is_multiple_of(GROUP) {
            self.groups = pushed(&self.groups, Arc::from([Arc::from([element])]));
        } else if let Some(group) = Arc::make_mut(&mut self.groups).last_mut() {
            match Arc::make_mut(group).last_mut().filter(|_| !at.is_multiple_of(CHUNK)) {
                Some(chunk) => *chunk = pushed(chunk, element),
                None => *group = pushed(group, Arc::from([element])),
            }
        }
    }

    /// Removes the element at index `at` and puts the last element in its place.
    pub(crate) fn swap_remove(&mut self, at: usize) {
        let Some(last) = self.len.checked_sub(1) else { return };
        let Some(moved) = self.get(last).cloned() else { return };
        self.len = last;
        if last.is_multiple_of(GROUP) {
            self.groups = popped(&self.groups);
        } else if let Some(group) = Arc::make_mut(&mut self.groups).last_mut() {
            match Arc::make_mut(group).last_mut().filter(|_| !last.is_multiple_of(CHUNK)) {
                Some(chunk) => *chunk = popped(chunk),
                None => *group = popped(group),
            }
        }
        self.set(at, moved);
    }
}

fn pushed<X: Clone>(all: &[X], one: X) -> Arc<[X]> {
    all.iter().cloned().chain([one]).collect()
}

fn popped<X: Clone>(all: &[X]) -> Arc<[X]> {
    all[..all.len().saturating_sub(1)].into()
}

impl<T> Clone for SharedTable<T> {
    fn clone(&self) -> Self {
        Self { groups: self.groups.clone(), len: self.len }
    }
}

impl<T> Default for SharedTable<T> {
    fn default() -> Self {
        Self { groups: Arc::default(), len: 0 }
    }
}

/// Elements in a chunk, chunks in a group, elements in a group.
const CHUNK: usize = 16;
const CHUNKS: usize = 32;
const GROUP: usize = CHUNK * CHUNKS;
