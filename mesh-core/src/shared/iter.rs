//! Iteration over a list.

use std::fmt;
use std::slice;
use std::sync::Arc;

use super::node::TreeNode;

/// An iterator over the elements of a [`SharedList`](super::SharedList), in order.
pub struct Iter<'a, T> {
    remaining: usize,
    leaf: slice::Iter<'a, Arc<T>>,
    /// The nodes that follow the leaf, one iterator per level; the lowest level is last.
    nodes: Vec<slice::Iter<'a, TreeNode<T>>>,
}

impl<'a, T> Iter<'a, T> {
    pub(super) fn new(root: &'a TreeNode<T>) -> Self {
        Self { remaining: root.len(), leaf: [].iter(), nodes: vec![slice::from_ref(root).iter()] }
    }
}

impl<'a, T> Iterator for Iter<'a, T> {
    type Item = &'a T;

    fn next(&mut self) -> Option<&'a T> {
        loop {
            if let Some(element) = self.leaf.next() {
                self.remaining = self.remaining.saturating_sub(1);
                return Some(element);
            }
            match self.nodes.last_mut()?.next() {
                Some(TreeNode::Leaf(elements)) => self.leaf = elements.iter(),
                Some(TreeNode::InnerNode(inner)) => self.nodes.push(inner.children.iter()),
                None => _ = self.nodes.pop(),
            }
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.remaining, Some(self.remaining))
    }
}

impl<T> ExactSizeIterator for Iter<'_, T> {}

impl<T> fmt::Debug for Iter<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Iter").field("remaining", &self.remaining).finish_non_exhaustive()
    }
}
