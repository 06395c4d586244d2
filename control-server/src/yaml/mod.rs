//! YAML to typed values, with the position and the path of everything that is wrong.
//!
//! A file is first read into [`Node`] trees with the position of each value; then a tree is decoded into a serde
//! type. The tree outlives decoding: findings of later stages have a [`FieldPath`] whose position is looked up in it.

mod decode;
mod error;
mod node;
mod parse;
mod path;
mod suggest;
#[cfg(test)]
mod tests;

pub(crate) use decode::{decode, decode_beside};
pub(crate) use node::{Node, Position, Value};
pub(crate) use parse::{SyntaxError, parse};
pub(crate) use path::FieldPath;
pub(crate) use suggest::did_you_mean;
