//! Lists that are derived from others and follow their changes.

use std::collections::HashMap;
use std::sync::Arc;

use super::SharedList;
use super::changes::common;
use super::node::TreeNode;

/// Derives one list from another: some elements have a counterpart in the derived list.
pub(crate) trait Mapping<T, U> {
    /// Whether the derived list has a counterpart of `element`.
    fn has_counterpart(&self, element: &T) -> bool;

    /// Makes the counterpart of an element that the source list gained.
    fn add(&mut self, element: &Arc<T>) -> U;

    /// Called for a counterpart that is no longer in the derived list, or was replaced.
    fn remove(&mut self, counterpart: &U);
}

impl<T: PartialEq> SharedList<T> {
    /// The derived list. `before` is an earlier version of this list and the list derived from it; unchanged nodes keep
    /// their counterparts.
    pub(crate) fn mapped<U>(
        &self,
        before: (&Self, &SharedList<U>),
        mapping: &mut impl Mapping<T, U>,
    ) -> SharedList<U> {
        if self.is_same(before.0) {
            return before.1.clone();
        }
        let (old, new) = (before.0, self);
        if old.root.height() == new.root.height() {
            let root = level(vec![Pair(&old.root, &before.1.root)], &[&new.root], mapping).pop();
            return SharedList { root: root.unwrap_or_default() };
        }
        let root = fresh(&new.root, mapping);
        before.1.iter().for_each(|counterpart| mapping.remove(counterpart));
        SharedList { root }
    }

    /// The list of the elements for which `is_kept` is true. A node that loses no element stays the same.
    pub(crate) fn retained(&self, mut is_kept: impl FnMut(&T) -> bool) -> Self {
        Self { root: retained(&self.root, &mut is_kept) }
    }
}

/// A node of a list, and the node of the derived list that was made from it.
struct Pair<'a, T, U>(&'a TreeNode<T>, &'a TreeNode<U>);

impl<T, U> Clone for Pair<'_, T, U> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T, U> Copy for Pair<'_, T, U> {}

/// The derived nodes of one level, in order.
fn level<T: PartialEq, U>(
    mut old: Vec<Pair<'_, T, U>>,
    new: &[&TreeNode<T>],
    mapping: &mut impl Mapping<T, U>,
) -> Vec<TreeNode<U>> {
    let mut reused: Vec<Option<TreeNode<U>>> = vec![None; new.len()];
    reuse(&mut old, new, &mut reused);
    let rest: Vec<_> =
        new.iter().zip(&reused).filter(|(_, reused)| reused.is_none()).map(|(new, _)| *new).collect();
    let are_leaves = rest.iter().chain(old.iter().map(|Pair(old, _)| old)).all(|node| node.height() == 0);
    let made = if are_leaves {
        leaves(&old, &rest, mapping)
    } else {
        let old_children = old.iter().flat_map(|pair| pair.below()).collect();
        let new_children: Vec<_> = rest.iter().flat_map(|node| node.children()).collect();
        let mut children = level(old_children, &new_children, mapping).into_iter();
        let widths = rest.iter().map(|node| node.children().len());
        widths.map(|width| TreeNode::inner(children.by_ref().take(width))).collect()
    };
    let mut made = made.into_iter();
    reused.into_iter().filter_map(|reused| reused.or_else(|| made.next())).collect()
}

/// Reuses the derived nodes of unchanged nodes. `old` keeps the pairs whose node is not in the new list.
fn reuse<T, U>(old: &mut Vec<Pair<'_, T, U>>, new: &[&TreeNode<T>], reused: &mut [Option<TreeNode<U>>]) {
    let same = |(Pair(old, _), new): &(&Pair<'_, T, U>, &&TreeNode<T>)| old.is_same(new);
    let suffix = old.iter().rev().zip(new.iter().rev()).take_while(same).count();
    let old_suffix = old.split_off(old.len() - suffix);
    let prefix = old.iter().zip(&new[..new.len() - suffix]).take_while(same).count();
    for (place, Pair(_, counterpart)) in reused.iter_mut().zip(old.drain(..prefix)) {
        *place = Some(counterpart.clone());
    }
    let middle = prefix..new.len() - suffix;
    for (place, Pair(_, counterpart)) in reused[middle.end..].iter_mut().zip(old_suffix) {
        *place = Some(counterpart.clone());
    }
    if old.len() > 1 && middle.len() > 1 {
        let mut places: HashMap<_, _> = middle.map(|at| (new[at].address(), at)).collect();
        old.retain(|Pair(node, counterpart)| {
            let place = places.remove(&node.address());
            place.inspect(|at| reused[*at] = Some((*counterpart).clone())).is_none()
        });
    }
}

/// The derived leaves. With as many new leaves as old ones, each keeps the counterparts of its common prefix and suffix
/// with the old leaf at the same index.
fn leaves<T: PartialEq, U>(
    old: &[Pair<'_, T, U>],
    new: &[&TreeNode<T>],
    mapping: &mut impl Mapping<T, U>,
) -> Vec<TreeNode<U>> {
    let mut old_leaves = old.iter().filter(|_| old.len() == new.len());
    let made = new.iter().map(|new| match old_leaves.next() {
        Some(Pair(old, counterparts)) => {
            leaf(old.elements(), counterparts.elements(), new.elements(), mapping)
        }
        None => fresh(new, mapping),
    });
    let made = made.collect();
    if old.len() != new.len() {
        let counterparts = old.iter().flat_map(|Pair(_, counterparts)| counterparts.elements());
        counterparts.for_each(|counterpart| mapping.remove(counterpart));
    }
    made
}

fn leaf<T: PartialEq, U>(
    old: &[Arc<T>],
    counterparts: &[Arc<U>],
    new: &[Arc<T>],
    mapping: &mut impl Mapping<T, U>,
) -> TreeNode<U> {
    let (prefix, suffix) = common(old, new);
    let kept = |of: &[Arc<T>]| of.iter().filter(|element| mapping.has_counterpart(element)).count();
    let (kept_prefix, kept_suffix) = (kept(&old[..prefix]), kept(&old[old.len() - suffix..]));
    let end = counterparts.len() - kept_suffix;
    let added = add(&new[prefix..new.len() - suffix], mapping);
    counterparts[kept_prefix..end].iter().for_each(|counterpart| mapping.remove(counterpart));
    TreeNode::leaf(counterparts[..kept_prefix].iter().chain(&added).chain(&counterparts[end..]).cloned())
}

fn add<T, U>(elements: &[Arc<T>], mapping: &mut impl Mapping<T, U>) -> Vec<Arc<U>> {
    let mut added = Vec::with_capacity(elements.len());
    for element in elements {
        if mapping.has_counterpart(element) {
            added.push(Arc::new(mapping.add(element)));
        }
    }
    added
}

fn fresh<T, U>(node: &TreeNode<T>, mapping: &mut impl Mapping<T, U>) -> TreeNode<U> {
    match node {
        TreeNode::Leaf(elements) => TreeNode::leaf(add(elements, mapping)),
        TreeNode::InnerNode(inner) => {
            TreeNode::inner(inner.children.iter().map(|child| fresh(child, mapping)))
        }
    }
}

fn retained<T>(node: &TreeNode<T>, is_kept: &mut impl FnMut(&T) -> bool) -> TreeNode<T> {
    match node {
        TreeNode::Leaf(elements) => {
            let kept: Vec<_> = elements.iter().filter(|element| is_kept(element)).cloned().collect();
            if kept.len() == elements.len() { node.clone() } else { TreeNode::leaf(kept) }
        }
        TreeNode::InnerNode(inner) => {
            let children: Vec<_> = inner.children.iter().map(|child| retained(child, is_kept)).collect();
            let is_whole = children.iter().zip(&inner.children).all(|(now, before)| now.is_same(before));
            if is_whole { node.clone() } else { TreeNode::inner(children) }
        }
    }
}

impl<'a, T, U> Pair<'a, T, U> {
    fn below(self) -> impl Iterator<Item = Self> {
        self.0.children().iter().zip(self.1.children()).map(|(node, counterpart)| Self(node, counterpart))
    }
}
