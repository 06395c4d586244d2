//! The differences between two lists.

use std::collections::HashSet;
use std::sync::Arc;

use super::node::TreeNode;
use super::{Iter, SharedList};

/// The differences between an old and a new list.
///
/// Removing all of `removed` and adding all of `added` leads from the old elements to the new ones. Apply both or neither:
/// an unchanged element may be in both.
#[derive(Debug)]
pub struct Changes<'a, T> {
    /// Elements of the old list.
    pub removed: Vec<&'a T>,
    /// Elements of the new list.
    pub added: Vec<&'a T>,
}

impl<T: PartialEq> SharedList<T> {
    /// The differences between `old` and `new`, which need not be versions of one list.
    ///
    /// Costs one pointer comparison per shared node next to a changed node, and one element comparison per element of a
    /// changed leaf. Lists without shared nodes are compared element by element.
    pub fn changes<'a>(old: &'a Self, new: &'a Self) -> Changes<'a, T> {
        let mut changes = Changes::default();
        changes.compare(vec![&old.root], vec![&new.root]);
        changes
    }
}

impl<T> Changes<'_, T> {
    /// Appends the differences of another pair of lists.
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
    /// Compares the elements below these nodes.
    fn compare(&mut self, old: Vec<&'a TreeNode<T>>, new: Vec<&'a TreeNode<T>>) {
        let (old, new) = unshared(old, new);
        let lengths = |nodes: &[&TreeNode<T>]| nodes.iter().map(|node| node.len()).collect::<Vec<_>>();
        if old.len() > 1 && lengths(&old) == lengths(&new) {
            // Equal lengths: elements were replaced, none inserted or removed. Compare node by node.
            return old.into_iter().zip(new).for_each(|(old, new)| self.compare(vec![old], vec![new]));
        }
        let height = |nodes: &[&TreeNode<T>]| nodes.first().map_or(0, |node| node.height());
        match (height(&old), height(&new)) {
            (0, 0) => self.compare_elements(&elements(&old), &elements(&new)),
            (of_old, of_new) if of_old > of_new => self.compare(below(&old), new),
            (of_old, of_new) if of_old < of_new => self.compare(old, below(&new)),
            _ => self.compare(below(&old), below(&new)),
        }
    }

    /// Appends the elements between the common prefix and the common suffix.
    fn compare_elements(&mut self, old: &[&'a Arc<T>], new: &[&'a Arc<T>]) {
        let (prefix, suffix) = common(old, new);
        self.removed.extend(old[prefix..old.len() - suffix].iter().map(|element| &***element));
        self.added.extend(new[prefix..new.len() - suffix].iter().map(|element| &***element));
    }
}

impl<T: PartialEq> PartialEq for SharedList<T> {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len() && are_equal(&[&self.root], &[&other.root])
    }
}

impl<T: Eq> Eq for SharedList<T> {}

/// Whether the elements below these nodes are equal, in order.
fn are_equal<T: PartialEq>(own: &[&TreeNode<T>], others: &[&TreeNode<T>]) -> bool {
    let same = |(own, other): &(&&TreeNode<T>, &&TreeNode<T>)| own.is_same(other);
    let prefix = own.iter().zip(others).take_while(same).count();
    let (own, others) = (&own[prefix..], &others[prefix..]);
    let suffix = own.iter().rev().zip(others.iter().rev()).take_while(same).count();
    let (own, others) = (&own[..own.len() - suffix], &others[..others.len() - suffix]);
    match (own, others) {
        ([TreeNode::InnerNode(own)], [TreeNode::InnerNode(other)]) => {
            let (own, other): (Vec<_>, Vec<_>) =
                (own.children.iter().collect(), other.children.iter().collect());
            are_equal(&own, &other)
        }
        _ => {
            let elements = |nodes: &[&'_ TreeNode<T>]| nodes.iter().map(|node| node.len()).sum::<usize>();
            elements(own) == elements(others)
                && own
                    .iter()
                    .flat_map(|node| Iter::new(node))
                    .eq(others.iter().flat_map(|node| Iter::new(node)))
        }
    }
}

/// The lengths of the common prefix, and of the common suffix of the remaining elements.
pub(super) fn common<T: PartialEq, A: AsRef<T>>(old: &[A], new: &[A]) -> (usize, usize) {
    let same = |(old, new): &(&A, &A)| {
        let (old, new) = (old.as_ref(), new.as_ref());
        std::ptr::eq(old, new) || old == new
    };
    let prefix = old.iter().zip(new).take_while(same).count();
    let suffix = old[prefix..].iter().rev().zip(new[prefix..].iter().rev()).take_while(same).count();
    (prefix, suffix)
}

/// The nodes that only one of the two lists has.
fn unshared<'a, T>(
    mut old: Vec<&'a TreeNode<T>>,
    mut new: Vec<&'a TreeNode<T>>,
) -> (Vec<&'a TreeNode<T>>, Vec<&'a TreeNode<T>>) {
    let same = |(old, new): &(&&TreeNode<T>, &&TreeNode<T>)| old.is_same(new);
    let suffix = old.iter().rev().zip(new.iter().rev()).take_while(same).count();
    old.truncate(old.len() - suffix);
    new.truncate(new.len() - suffix);
    let prefix = old.iter().zip(&new).take_while(same).count();
    old.drain(..prefix);
    new.drain(..prefix);
    if old.len() > 1 && new.len() > 1 {
        let addresses =
            |nodes: &[&TreeNode<T>]| nodes.iter().map(|node| node.address()).collect::<HashSet<_>>();
        let (in_old, in_new) = (addresses(&old), addresses(&new));
        old.retain(|node| !in_new.contains(&node.address()));
        new.retain(|node| !in_old.contains(&node.address()));
    }
    (old, new)
}

fn below<'a, T>(nodes: &[&'a TreeNode<T>]) -> Vec<&'a TreeNode<T>> {
    nodes.iter().flat_map(|node| node.children()).collect()
}

fn elements<'a, T>(nodes: &[&'a TreeNode<T>]) -> Vec<&'a Arc<T>> {
    nodes.iter().flat_map(|node| node.elements()).collect()
}
