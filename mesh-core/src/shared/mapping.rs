//! Lists that are made from others and follow their changes.

use std::collections::HashMap;
use std::sync::Arc;

use super::SharedList;
use super::changes::common;
use super::node::Node;

/// From one list to another: which elements have a counterpart, and which one.
pub(crate) trait Mapping<T, U> {
    fn has_counterpart(&self, element: &T) -> bool;

    /// The counterpart of an element that is new.
    fn add(&mut self, element: &Arc<T>) -> U;

    /// This counterpart is in the new list no more, or as another one.
    fn remove(&mut self, counterpart: &U);
}

impl<T: PartialEq> SharedList<T> {
    /// The counterparts of all elements. `before` is an earlier version and what came of it: nodes that are the same have
    /// the same counterparts.
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

    /// The list without elements that are not to be kept. Nodes that lose nothing stay the same.
    pub(crate) fn retained(&self, mut is_kept: impl FnMut(&T) -> bool) -> Self {
        Self { root: retained(&self.root, &mut is_kept) }
    }
}

/// A node of a list, and the node of the other list that it became.
struct Pair<'a, T, U>(&'a Node<T>, &'a Node<U>);

impl<T, U> Clone for Pair<'_, T, U> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T, U> Copy for Pair<'_, T, U> {}

/// What becomes of nodes of one level, one by one.
fn level<T: PartialEq, U>(
    mut old: Vec<Pair<'_, T, U>>,
    new: &[&Node<T>],
    mapping: &mut impl Mapping<T, U>,
) -> Vec<Node<U>> {
    let mut reused: Vec<Option<Node<U>>> = vec![None; new.len()];
    reuse(&mut old, new, &mut reused);
    let rest: Vec<_> =
        new.iter().zip(&reused).filter(|(_, reused)| reused.is_none()).map(|(new, _)| *new).collect();
    let mut made = match rest.iter().chain(old.iter().map(|Pair(old, _)| old)).all(|node| node.height() == 0)
    {
        true => leaves(&old, &rest, mapping),
        false => {
            let mut children = level(
                old.iter().flat_map(|pair| pair.below()).collect(),
                &rest.iter().flat_map(|node| node.children()).collect::<Vec<_>>(),
                mapping,
            )
            .into_iter();
            let widths: Vec<_> = rest.iter().map(|node| node.children().len()).collect();
            widths.into_iter().map(|width| Node::inner(children.by_ref().take(width))).collect()
        }
    }
    .into_iter();
    reused.into_iter().filter_map(|reused| reused.or_else(|| made.next())).collect()
}

/// Takes over what became of nodes that are the same; what is left of `old` has no place in the new list.
fn reuse<T, U>(old: &mut Vec<Pair<'_, T, U>>, new: &[&Node<T>], reused: &mut [Option<Node<U>>]) {
    let same = |(Pair(old, _), new): &(&Pair<'_, T, U>, &&Node<T>)| old.is_same(new);
    let behind = old.iter().rev().zip(new.iter().rev()).take_while(same).count();
    let of_behind = old.split_off(old.len() - behind);
    let before = old.iter().zip(&new[..new.len() - behind]).take_while(same).count();
    for (place, Pair(_, counterpart)) in reused.iter_mut().zip(old.drain(..before)) {
        *place = Some(counterpart.clone());
    }
    let middle = before..new.len() - behind;
    for (place, Pair(_, counterpart)) in reused[middle.end..].iter_mut().zip(of_behind) {
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

/// What becomes of leaves, the more of which stays the more they have in common with the old ones at the same place.
fn leaves<T: PartialEq, U>(
    old: &[Pair<'_, T, U>],
    new: &[&Node<T>],
    mapping: &mut impl Mapping<T, U>,
) -> Vec<Node<U>> {
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
) -> Node<U> {
    let (before, behind) = common(old, new);
    let kept = |of: &[Arc<T>]| of.iter().filter(|element| mapping.has_counterpart(element)).count();
    let (kept_before, kept_behind) = (kept(&old[..before]), kept(&old[old.len() - behind..]));
    let end = counterparts.len() - kept_behind;
    let added = add(&new[before..new.len() - behind], mapping);
    counterparts[kept_before..end].iter().for_each(|counterpart| mapping.remove(counterpart));
    Node::leaf(counterparts[..kept_before].iter().chain(&added).chain(&counterparts[end..]).cloned())
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

fn fresh<T, U>(node: &Node<T>, mapping: &mut impl Mapping<T, U>) -> Node<U> {
    match node {
        Node::Leaf(elements) => Node::leaf(add(elements, mapping)),
        Node::Inner(inner) => Node::inner(inner.children.iter().map(|child| fresh(child, mapping))),
    }
}

fn retained<T>(node: &Node<T>, is_kept: &mut impl FnMut(&T) -> bool) -> Node<T> {
    match node {
        Node::Leaf(elements) => {
            let kept: Vec<_> = elements.iter().filter(|element| is_kept(element)).cloned().collect();
            if kept.len() == elements.len() { node.clone() } else { Node::leaf(kept) }
        }
        Node::Inner(inner) => {
            let children: Vec<_> = inner.children.iter().map(|child| retained(child, is_kept)).collect();
            let is_whole = children.iter().zip(&inner.children).all(|(now, before)| now.is_same(before));
            if is_whole { node.clone() } else { Node::inner(children) }
        }
    }
}

impl<'a, T, U> Pair<'a, T, U> {
    fn below(self) -> impl Iterator<Item = Self> {
        self.0.children().iter().zip(self.1.children()).map(|(node, counterpart)| Self(node, counterpart))
    }
}
