//! A crate as its syntax: modules, what names mean in them, and signatures as text.

mod scope;
mod tokens;
mod tree;

pub(crate) use scope::{Import, Scopes, Target, is_prelude, is_primitive, name};
pub(crate) use tokens::text;
pub(crate) use tree::{Crate, ModuleId, ROOT, attributes, conditions, is_for_tests};
