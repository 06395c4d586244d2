//! An immutable list, stored as a tree.

use std::fmt;
use std::sync::Arc;

use super::Iter;
use super::node::{Edit, TreeNode};

/// An immutable list that shares unchanged nodes with the version that it was made from.
///
/// Use it for a long list whose successive versions differ little. A clone increments one reference count. Changing one
/// element copies about 24 pointers per level; a list of ten thousand elements has three levels.
/// [`changes`](Self::changes) and `==` skip shared nodes.
pub struct SharedList<T> {
    pub(super) root: TreeNode<T>,
}

impl<T> SharedList<T> {
    /// The number of elements.
    pub fn len(&self) -> usize {
        self.root.len()
    }

    /// Whether the list has no elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Iterates over the elements, in order.
    pub fn iter(&self) -> Iter<'_, T> {
        Iter::new(&self.root)
    }

    /// Whether both are the same version: one pointer comparison. Equal lists that were made apart are not.
    pub fn is_same(&self, other: &Self) -> bool {
        self.root.is_same(&other.root)
    }

    /// The element at index `at`.
    pub fn get(&self, mut at: usize) -> Option<&T> {
        let mut node = &self.root;
        loop {
            match node {
                TreeNode::Leaf(elements) => return elements.get(at).map(|element| &**element),
                TreeNode::InnerNode(inner) => {
                    node = inner.children.iter().find(|child| {
                        let is_inside = at < child.len();
                        at -= if is_inside { 0 } else { child.len() };
                        is_inside
                    })?;
                }
            }
        }
    }

    /// The index of the first element for which `before` is false. Elements for which it is true come first.
    pub(crate) fn partition_point(&self, before: impl Fn(&T) -> bool) -> usize {
        let (mut node, mut passed) = (&self.root, 0);
        loop {
            match node {
                TreeNode::Leaf(elements) => {
                    return passed + elements.partition_point(|element| before(element));
                }
                TreeNode::InnerNode(inner) => {
                    let begins_before = |child: &TreeNode<T>| child.first().is_some_and(&before);
                    let child = inner.children.partition_point(begins_before).saturating_sub(1);
                    passed += inner.children[..child].iter().map(TreeNode::len).sum::<usize>();
                    node = &inner.children[child];
                }
            }
        }
    }

    /// The list with the element at index `at` replaced; `at` is less than the length.
    pub(crate) fn with_replaced(&self, at: usize, element: T) -> Self {
        self.edited(at, Edit::Replace(Arc::new(element)))
    }

    /// The list with `element` inserted at index `at`, which is at most the length.
    pub(crate) fn with_inserted(&self, at: usize, element: T) -> Self {
        self.edited(at, Edit::Insert(Arc::new(element)))
    }

    /// The list without the element at index `at`, which is less than the length.
    pub(crate) fn without(&self, at: usize) -> Self {
        self.edited(at, Edit::Remove)
    }

    fn edited(&self, at: usize, edit: Edit<T>) -> Self {
        let mut parts = self.root.edited(at, edit);
        let mut root = match parts.len() {
            0 | 1 => parts.pop().unwrap_or_default(),
            _ => TreeNode::inner(parts),
        };
        while let TreeNode::InnerNode(inner) = &root
            && let [only] = &*inner.children
        {
            root = only.clone();
        }
        Self { root }
    }
}

impl<T> FromIterator<T> for SharedList<T> {
    fn from_iter<I: IntoIterator<Item = T>>(elements: I) -> Self {
        Self { root: TreeNode::tree(elements.into_iter().map(Arc::new)) }
    }
}

impl<'a, T> IntoIterator for &'a SharedList<T> {
    type Item = &'a T;
    type IntoIter = Iter<'a, T>;

    fn into_iter(self) -> Iter<'a, T> {
        self.iter()
    }
}

impl<T> Clone for SharedList<T> {
    fn clone(&self) -> Self {
        Self { root: self.root.clone() }
    }
}

impl<T> Default for SharedList<T> {
    fn default() -> Self {
        Self { root: TreeNode::default() }
    }
}

impl<T: fmt::Debug> fmt::Debug for SharedList<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self).finish()
    }
}
