//! A table in chunks.

use std::sync::Arc;

/// A growing array that one owner changes, and whose clones keep what they have seen.
///
/// A clone is one reference count. A change copies one chunk of 64, and after a clone a pointer per other chunk.
#[derive(Debug)]
pub(crate) struct SharedTable<T> {
    /// All full but the last one, which is not empty.
    chunks: Arc<[Arc<[T]>]>,
}

impl<T> SharedTable<T> {
    #[inline]
    pub(crate) fn len(&self) -> usize {
        match self.chunks.split_last() {
            Some((last, full)) => full.len() * CHUNK + last.len(),
            None => 0,
        }
    }

    #[inline]
    pub(crate) fn get(&self, at: usize) -> Option<&T> {
        self.chunks.get(at / CHUNK)?.get(at % CHUNK)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.chunks.iter().flat_map(|chunk| chunk.iter())
    }
}

impl<T: Clone> SharedTable<T> {
    /// Puts another element in this place, if there is such a place.
    pub(crate) fn set(&mut self, at: usize, element: T) {
        if at < self.len() {
            let chunk = &mut Arc::make_mut(&mut self.chunks)[at / CHUNK];
            Arc::make_mut(chunk)[at % CHUNK] = element;
        }
    }

    pub(crate) fn push(&mut self, element: T) {
        match self.chunks.last().is_some_and(|last| last.len() < CHUNK) {
            true => self.change_last(|last| last.iter().cloned().chain([element]).collect()),
            false => self.chunks = self.chunks.iter().cloned().chain([Arc::from([element])]).collect(),
        }
    }

    /// Takes an element out and puts the last one in its place.
    pub(crate) fn swap_remove(&mut self, at: usize) {
        let Some((last, full)) = self.chunks.split_last() else { return };
        let Some((moved, rest)) = last.split_last() else { return };
        let moved = moved.clone();
        match rest.is_empty() {
            true => self.chunks = full.into(),
            false => self.change_last(|last| last[..last.len() - 1].into()),
        }
        self.set(at, moved);
    }

    fn change_last(&mut self, change: impl FnOnce(&[T]) -> Arc<[T]>) {
        if let Some(last) = Arc::make_mut(&mut self.chunks).last_mut() {
            *last = change(last);
        }
    }
}

impl<T> Clone for SharedTable<T> {
    fn clone(&self) -> Self {
        Self { chunks: self.chunks.clone() }
    }
}

impl<T> Default for SharedTable<T> {
    fn default() -> Self {
        Self { chunks: Arc::default() }
    }
}

const CHUNK: usize = 64;
