//! Aggregate clusters: turns a graph of clusters into a list of leaves (gRFC A37).

use std::collections::{HashMap, HashSet};

use mesh_core::config::Name;

/// How deep an aggregate may be, itself and its leaves included (RT-32).
pub(super) const MAX_DEPTH: usize = 16;

/// A cluster in the graph.
#[derive(Debug, Clone, Copy)]
pub(super) enum GraphNode<'a> {
    /// It has endpoints of its own.
    Leaf,
    /// It consists of these clusters.
    Aggregate(&'a [Name]),
    /// There is no such cluster: it is left out.
    Absent,
    /// Below the greatest allowed depth; not read.
    TooDeep,
}

/// The leaves of many aggregates over the same graph; heights are computed once.
pub(super) struct Aggregates<F> {
    node: F,
    heights: HashMap<Name, usize>,
}

/// Deeper than [`MAX_DEPTH`], or a cycle.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TooDeep;

impl<'a, F: Fn(&Name) -> GraphNode<'a>> Aggregates<F> {
    pub(super) fn new(node: F) -> Self {
        Self { node, heights: HashMap::new() }
    }

    /// The leaves in order of preference: depth first, each at its first place (RT-32).
    pub(super) fn leaves(&mut self, root: &Name) -> Result<Vec<Name>, TooDeep> {
        if self.height(root) > MAX_DEPTH {
            return Err(TooDeep);
        }
        let mut leaves = Vec::new();
        let mut seen = HashSet::new();
        let mut stack = vec![root.clone()];
        while let Some(name) = stack.pop() {
            if !seen.insert(name.clone()) {
                continue;
            }
            match (self.node)(&name) {
                GraphNode::Leaf => leaves.push(name),
                GraphNode::Aggregate(children) => stack.extend(children.iter().rev().cloned()),
                GraphNode::Absent | GraphNode::TooDeep => {}
            }
        }
        Ok(leaves)
    }

    /// The number of clusters on the longest path down. Not recursive: the server decides how deep the graph is.
    fn height(&mut self, root: &Name) -> usize {
        let mut path = Vec::new();
        self.enter(root, &mut path);
        while let Some((name, children, next)) = path.last_mut() {
            if let Some(child) = children.get(*next) {
                *next += 1;
                let child = child.clone();
                self.enter(&child, &mut path);
            } else {
                let heights = children.iter().filter_map(|child| self.heights.get(child));
                let height = heights.max().copied().unwrap_or_default().saturating_add(1);
                self.heights.insert(name.clone(), height);
                path.pop();
            }
        }
        self.heights.get(root).copied().unwrap_or(usize::MAX)
    }

    fn enter(&mut self, name: &Name, path: &mut Vec<(Name, &'a [Name], usize)>) {
        if self.heights.contains_key(name) {
            return;
        }
        let height = match (self.node)(name) {
            GraphNode::Leaf | GraphNode::Absent => 1,
            GraphNode::TooDeep => usize::MAX,
            GraphNode::Aggregate(children) => {
                path.push((name.clone(), children, 0));
                // Holds until the height is known: a path that meets this cluster again has found a cycle.
                usize::MAX
            }
        };
        self.heights.insert(name.clone(), height);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Aggregates and their clusters.
    type Edges<'a> = &'a [(&'a str, &'a [&'a str])];

    fn leaves(graph: Edges<'_>, root: &str) -> Result<String, TooDeep> {
        let graph: HashMap<Name, Vec<Name>> = graph
            .iter()
            .map(|(name, children)| ((*name).into(), children.iter().map(|child| (*child).into()).collect()))
            .collect();
        let node = |name: &Name| match graph.get(name) {
            Some(children) => GraphNode::Aggregate(children),
            None if name.starts_with('?') => GraphNode::Absent,
            None => GraphNode::Leaf,
        };
        Ok(Aggregates::new(node).leaves(&root.into())?.join(" "))
    }

    #[test]
    fn leaves_come_depth_first_and_once() {
        let rows: [(&str, Edges<'_>, &str); 5] = [
            ("flat", &[("a", &["x", "y"])], "x y"),
            ("nested", &[("a", &["b", "z"]), ("b", &["x", "y"])], "x y z"),
            ("repeated", &[("a", &["x", "b"]), ("b", &["y", "x", "z"])], "x y z"),
            ("one is missing", &[("a", &["?", "x"])], "x"),
            ("none is there", &[("a", &["?"])], ""),
        ];
        for (row, graph, expected) in rows {
            assert_eq!(leaves(graph, "a").as_deref(), Ok(expected), "{row}");
        }
        assert_eq!(leaves(&[("a", &["b"]), ("b", &["x", "a"])], "a"), Err(TooDeep), "a cycle");
    }

    #[test]
    fn aggregates_deeper_than_sixteen_are_refused() {
        let names: Vec<String> = (0..100_000).map(|index| format!("c{index:06}")).collect();
        let chain = |length: usize| {
            let graph: HashMap<Name, Vec<Name>> = names[..length]
                .windows(2)
                .map(|pair| (pair[0].as_str().into(), vec![pair[1].as_str().into()]))
                .collect();
            let node = |name: &Name| {
                graph.get(name).map_or(GraphNode::Leaf, |children| GraphNode::Aggregate(children))
            };
            Aggregates::new(node).leaves(&names[0].as_str().into())
        };
        assert_eq!(chain(MAX_DEPTH), Ok(vec![names[MAX_DEPTH - 1].as_str().into()]));
        assert_eq!(chain(MAX_DEPTH + 1), Err(TooDeep));
        assert_eq!(chain(names.len()), Err(TooDeep), "and the stack holds");
    }
}
