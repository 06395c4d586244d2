//! A document as a tree of values with their positions.

use std::fmt;

use super::distance;

/// Line and column, both from 1.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Position {
    pub(crate) line: u32,
    pub(crate) column: u32,
}

/// A value and its position.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Node {
    pub(crate) value: Value,
    pub(crate) at: Position,
}

/// A value, by YAML's core schema.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    Null,
    Bool(bool),
    Integer(i128),
    Float(f64),
    String(String),
    Sequence(Vec<Node>),
    Mapping(Vec<(Key, Node)>),
}

/// A mapping's key and its position.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Key {
    pub(crate) name: String,
    pub(crate) at: Position,
}

impl Node {
    /// The value of a mapping's key.
    pub(crate) fn field(&self, name: &str) -> Option<&Self> {
        self.entry(name).map(|(_, node)| node)
    }

    /// The text of a mapping's key.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        match &self.field(name)?.value {
            Value::String(text) => Some(text),
            _ => None,
        }
    }

    /// The items of a mapping's list; none if there is no such list.
    pub(crate) fn items(&self, name: &str) -> std::slice::Iter<'_, Self> {
        match self.field(name).map(|node| &node.value) {
            Some(Value::Sequence(items)) => items.iter(),
            _ => [].iter(),
        }
    }

    /// Whether a mapping has a key that is nearly this one.
    pub(crate) fn has_field_like(&self, name: &str) -> bool {
        let Value::Mapping(entries) = &self.value else { return false };
        entries.iter().any(|(key, _)| distance(&key.name, name) <= 2)
    }

    fn entry(&self, name: &str) -> Option<&(Key, Self)> {
        match &self.value {
            Value::Mapping(entries) => entries.iter().find(|(key, _)| key.name == name),
            _ => None,
        }
    }

    pub(super) const fn is_collection(&self) -> bool {
        matches!(self.value, Value::Sequence(_) | Value::Mapping(_))
    }
}

impl fmt::Display for Node {
    /// The description of the value in errors.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.value {
            Value::Null => f.write_str("nothing"),
            Value::Bool(value) => write!(f, "the boolean {value}"),
            Value::Integer(value) => write!(f, "the number {value}"),
            Value::Float(value) => write!(f, "the number {value}"),
            Value::String(value) => write!(f, "the text `{value}`"),
            Value::Sequence(_) => f.write_str("a list"),
            Value::Mapping(_) => f.write_str("a mapping"),
        }
    }
}
