//! A node of a list, and the change of one element.

use std::sync::Arc;

/// Elements, or nodes of the next level. All leaves of a list are on the same level.
#[derive(Debug)]
pub(super) enum TreeNode<T> {
    Leaf(Arc<[Arc<T>]>),
    InnerNode(Arc<InnerNode<T>>),
}

#[derive(Debug)]
pub(super) struct InnerNode<T> {
    pub(super) children: Box<[TreeNode<T>]>,
    len: usize,
}

/// A change at the index of an element.
#[derive(Debug)]
pub(super) enum Edit<T> {
    /// Inserts an element before it.
    Insert(Arc<T>),
    Replace(Arc<T>),
    Remove,
}

impl<T> TreeNode<T> {
    pub(super) fn leaf(elements: impl IntoIterator<Item = Arc<T>>) -> Self {
        Self::Leaf(elements.into_iter().collect())
    }

    pub(super) fn inner(children: impl IntoIterator<Item = Self>) -> Self {
        let children: Box<[Self]> = children.into_iter().collect();
        let len = children.iter().map(Self::len).sum();
        Self::InnerNode(Arc::new(InnerNode { children, len }))
    }

    /// A tree of these elements.
    pub(super) fn tree(elements: impl IntoIterator<Item = Arc<T>>) -> Self {
        let mut elements = elements.into_iter();
        let mut level: Vec<Self> = std::iter::from_fn(|| {
            let leaf: Arc<[_]> = elements.by_ref().take(FILL).collect();
            (!leaf.is_empty()).then_some(Self::Leaf(leaf))
        })
        .collect();
        while level.len() > 1 {
            let mut nodes = level.into_iter();
            level = std::iter::from_fn(|| {
                let children: Vec<_> = nodes.by_ref().take(FILL).collect();
                (!children.is_empty()).then(|| Self::inner(children))
            })
            .collect();
        }
        level.pop().unwrap_or_default()
    }

    pub(super) fn len(&self) -> usize {
        match self {
            Self::Leaf(elements) => elements.len(),
            Self::InnerNode(inner) => inner.len,
        }
    }

    /// The children; empty for a leaf.
    pub(super) fn children(&self) -> &[Self] {
        match self {
            Self::Leaf(_) => &[],
            Self::InnerNode(inner) => &inner.children,
        }
    }

    /// The elements; empty for an inner node.
    pub(super) fn elements(&self) -> &[Arc<T>] {
        match self {
            Self::Leaf(elements) => elements,
            Self::InnerNode(_) => &[],
        }
    }

    pub(super) fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Leaf(own), Self::Leaf(other)) => Arc::ptr_eq(own, other),
            (Self::InnerNode(own), Self::InnerNode(other)) => Arc::ptr_eq(own, other),
            _ => false,
        }
    }

    /// Identifies the node: two nodes with the same address are the same.
    pub(super) fn address(&self) -> usize {
        match self {
            Self::Leaf(elements) => elements.as_ptr().addr(),
            Self::InnerNode(inner) => Arc::as_ptr(inner).addr(),
        }
    }

    /// The number of levels below the node.
    pub(super) fn height(&self) -> usize {
        match self {
            Self::Leaf(_) => 0,
            Self::InnerNode(inner) => 1 + inner.children.first().map_or(0, Self::height),
        }
    }

    pub(super) fn first(&self) -> Option<&T> {
        match self {
            Self::Leaf(elements) => elements.first().map(|element| &**element),
            Self::InnerNode(inner) => inner.children.first()?.first(),
        }
    }

    /// The nodes that replace this one when the element at `at` changes: none, one or two.
    pub(super) fn edited(&self, at: usize, edit: Edit<T>) -> Vec<Self> {
        match self {
            Self::Leaf(elements) => {
                let (replacement, end) = match edit {
                    Edit::Insert(element) => (Some(element), at),
                    Edit::Replace(element) => (Some(element), at + 1),
                    Edit::Remove => (None, at + 1),
                };
                let changed: Vec<_> =
                    elements[..at].iter().chain(&replacement).chain(&elements[end..]).cloned().collect();
                in_parts(changed, Self::leaf)
            }
            Self::InnerNode(inner) => {
                let (child, before) = inner.child_at(at);
                let mut parts = inner.children[child].edited(at - before, edit);
                let mut range = child..child + 1;
                if let [part] = &parts[..]
                    && let Some((neighbour, joined)) = inner.joined(child, part)
                {
                    parts = vec![joined];
                    range = child.min(neighbour)..child.max(neighbour) + 1;
                }
                let (prefix, suffix) = (&inner.children[..range.start], &inner.children[range.end..]);
                let changed: Vec<_> = prefix.iter().chain(&parts).chain(suffix).cloned().collect();
                in_parts(changed, Self::inner)
            }
        }
    }

    /// Joins two nodes of the same level; `None` for nodes of different levels.
    fn concat(&self, other: &Self) -> Option<Self> {
        match (self, other) {
            (Self::Leaf(own), Self::Leaf(other)) => Some(Self::leaf(own.iter().chain(&**other).cloned())),
            (Self::InnerNode(own), Self::InnerNode(other)) => {
                Some(Self::inner(own.children.iter().chain(&other.children).cloned()))
            }
            _ => None,
        }
    }

    /// The number of elements of a leaf, or of children of an inner node.
    fn width(&self) -> usize {
        match self {
            Self::Leaf(elements) => elements.len(),
            Self::InnerNode(inner) => inner.children.len(),
        }
    }
}

impl<T> InnerNode<T> {
    /// The child that holds index `at`, the last one for an index past the end, and the number of elements before it.
    fn child_at(&self, at: usize) -> (usize, usize) {
        let mut before = 0;
        let last = self.children.len() - 1;
        for (number, child) in self.children.iter().enumerate() {
            if at < before + child.len() || number == last {
                return (number, before);
            }
            before += child.len();
        }
        (last, before)
    }

    /// Joins `part`, which replaces `child`, with a neighbour that has room, if it is too narrow alone. Returns the
    /// neighbour's index and the joined node.
    fn joined(&self, child: usize, part: &TreeNode<T>) -> Option<(usize, TreeNode<T>)> {
        if part.width() >= MIN_WIDTH {
            return None;
        }
        let has_room =
            |at: &usize| self.children.get(*at).is_some_and(|node| node.width() + part.width() <= FILL);
        if let Some(next) = Some(child + 1).filter(has_room) {
            return Some((next, part.concat(&self.children[next])?));
        }
        let previous = child.checked_sub(1).filter(has_room)?;
        Some((previous, self.children[previous].concat(part)?))
    }
}

/// One node, or two halves if one node would be too wide.
fn in_parts<X, T>(mut all: Vec<X>, node: impl Fn(Vec<X>) -> TreeNode<T>) -> Vec<TreeNode<T>> {
    match all.len() {
        0 => Vec::new(),
        1..=MAX_WIDTH => vec![node(all)],
        len => {
            let second = all.split_off(len / 2);
            vec![node(all), node(second)]
        }
    }
}

impl<T> Clone for TreeNode<T> {
    fn clone(&self) -> Self {
        match self {
            Self::Leaf(elements) => Self::Leaf(elements.clone()),
            Self::InnerNode(inner) => Self::InnerNode(inner.clone()),
        }
    }
}

impl<T> Default for TreeNode<T> {
    fn default() -> Self {
        Self::Leaf(Arc::default())
    }
}

/// The width of a node of a list that is built at once.
const FILL: usize = 24;
/// A narrower node is joined with a neighbour that has room.
const MIN_WIDTH: usize = 8;
/// A wider node is split.
const MAX_WIDTH: usize = 32;
