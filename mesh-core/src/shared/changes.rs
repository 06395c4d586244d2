//! In what two lists differ.

use std::collections::HashSet;
use std::sync::Arc;

use super::node::Node;
use super::{Iter, SharedList};

/// What of a list is not in another one.
///
/// Applied as a whole it is exact. In parts it may be too much: an element that stays may be among both.
#[derive(Debug)]
pub struct Changes<'a, T> {
    /// In the old list.
    pub removed: Vec<&'a T>,
    /// In the new list.
    pub added: Vec<&'a T>,
}

impl<T: PartialEq> SharedList<T> {
    /// What was removed from `old` and added to make `new`, whatever way `new` came about.
    ///
    /// Costs a pointer comparison per shared node that is next to a change, and a comparison per element that is near
    /// one. Lists that share nothing are compared element by element.
    pub fn changes<'a>(old: &'a Self, new: &'a Self) -> Changes<'a, T> {
        let mut changes = Changes::default();
        changes.compare(vec![&old.root], vec![&new.root]);
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
    /// Compares what is below these nodes.
    fn compare(&mut self, old: Vec<&'a Node<T>>, new: Vec<&'a Node<T>>) {
        let (old, new) = unshared(old, new);
        let lengths = |nodes: &[&Node<T>]| nodes.iter().map(|node| node.len()).collect::<Vec<_>>();
        if old.len() > 1 && lengths(&old) == lengths(&new) {
            // elements have been replaced, here and there
            return old.into_iter().zip(new).for_each(|(old, new)| self.compare(vec![old], vec![new]));
        }
        let height = |nodes: &[&Node<T>]| nodes.first().map_or(0, |node| node.height());
        match (height(&old), height(&new)) {
            (0, 0) => self.compare_elements(&elements(&old), &elements(&new)),
            (of_old, of_new) if of_old > of_new => self.compare(below(&old), new),
            (of_old, of_new) if of_old < of_new => self.compare(old, below(&new)),
            _ => self.compare(below(&old), below(&new)),
        }
    }

    /// Takes up what is between the elements that both begin with and those that both end with.
    fn compare_elements(&mut self, old: &[&'a Arc<T>], new: &[&'a Arc<T>]) {
        let (before, behind) = common(old, new);
        self.removed.extend(old[before..old.len() - behind].iter().map(|element| &***element));
        self.added.extend(new[before..new.len() - behind].iter().map(|element| &***element));
    }
}

impl<T: PartialEq> PartialEq for SharedList<T> {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len() && are_equal(&[&self.root], &[&other.root])
    }
}

impl<T: Eq> Eq for SharedList<T> {}

/// Whether the elements below these nodes are equal, in order.
fn are_equal<T: PartialEq>(own: &[&Node<T>], others: &[&Node<T>]) -> bool {
    let same = |(own, other): &(&&Node<T>, &&Node<T>)| own.is_same(other);
    let before = own.iter().zip(others).take_while(same).count();
    let (own, others) = (&own[before..], &others[before..]);
    let behind = own.iter().rev().zip(others.iter().rev()).take_while(same).count();
    let (own, others) = (&own[..own.len() - behind], &others[..others.len() - behind]);
    match (own, others) {
        ([Node::Inner(own)], [Node::Inner(other)]) => {
            let (own, other): (Vec<_>, Vec<_>) =
                (own.children.iter().collect(), other.children.iter().collect());
            are_equal(&own, &other)
        }
        _ => {
            let elements = |nodes: &[&'_ Node<T>]| nodes.iter().map(|node| node.len()).sum::<usize>();
            elements(own) == elements(others)
                && own
                    .iter()
                    .flat_map(|node| Iter::new(node))
                    .eq(others.iter().flat_map(|node| Iter::new(node)))
        }
    }
}

/// How many elements both begin with, and how many of the rest both end with.
pub(super) fn common<T: PartialEq, A: AsRef<T>>(old: &[A], new: &[A]) -> (usize, usize) {
    let same = |(old, new): &(&A, &A)| {
        let (old, new) = (old.as_ref(), new.as_ref());
        std::ptr::eq(old, new) || old == new
    };
    let before = old.iter().zip(new).take_while(same).count();
    let behind = old[before..].iter().rev().zip(new[before..].iter().rev()).take_while(same).count();
    (before, behind)
}

/// The nodes that are not in both.
fn unshared<'a, T>(
    mut old: Vec<&'a Node<T>>,
    mut new: Vec<&'a Node<T>>,
) -> (Vec<&'a Node<T>>, Vec<&'a Node<T>>) {
    let same = |(old, new): &(&&Node<T>, &&Node<T>)| old.is_same(new);
    let behind = old.iter().rev().zip(new.iter().rev()).take_while(same).count();
    old.truncate(old.len() - behind);
    new.truncate(new.len() - behind);
    let before = old.iter().zip(&new).take_while(same).count();
    old.drain(..before);
    new.drain(..before);
    if old.len() > 1 && new.len() > 1 {
        let addresses = |nodes: &[&Node<T>]| nodes.iter().map(|node| node.address()).collect::<HashSet<_>>();
        let (in_old, in_new) = (addresses(&old), addresses(&new));
        old.retain(|node| !in_new.contains(&node.address()));
        new.retain(|node| !in_old.contains(&node.address()));
    }
    (old, new)
}

fn below<'a, T>(nodes: &[&'a Node<T>]) -> Vec<&'a Node<T>> {
    nodes.iter().flat_map(|node| node.children()).collect()
}

fn elements<'a, T>(nodes: &[&'a Node<T>]) -> Vec<&'a Arc<T>> {
    nodes.iter().flat_map(|node| node.elements()).collect()
}
