//! YAML and JSON to typed values, with the position and the path of everything that is wrong.
//!
//! A file is first read into [`Node`] trees with the position of each value; then a tree is decoded into a serde
//! type and dropped. Its [`Positions`] stay: findings of later stages have a [`FieldPath`] that is looked up in them.

mod decode;
mod error;
mod json;
mod node;
mod parse;
mod path;
mod positions;
mod suggest;
#[cfg(test)]
mod tests;

pub(crate) use decode::{decode, decode_beside, decode_leniently};
pub(crate) use json::parse_json;
pub(crate) use node::{Node, Position, Value};
pub(crate) use parse::{SyntaxError, parse};
pub(crate) use path::FieldPath;
pub(crate) use positions::Positions;
pub(crate) use suggest::{did_you_mean, distance, nearest};
