//! The decoding of one resource.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt;
use std::ops::Deref;

use mesh_core::policy::matcher::{CapturingRegex, FullRegex};

use super::DecodeContext;
use super::invalid::{Checked, Invalid};

/// The decoding of one resource: its context, and the total size of its regular expressions.
///
/// A resource of some kilobytes can hold thousands of expressions, and a compiled one takes a thousand times its length:
/// the limit is for their sum (SEC-06). Equal ones count once, and are compiled once.
pub(super) struct Decoding<'a> {
    context: &'a DecodeContext,
    expressions: RefCell<Expressions>,
}

#[derive(Default)]
struct Expressions {
    full: HashMap<String, FullRegex>,
    capturing: HashMap<String, CapturingRegex>,
    size: usize,
}

impl<'a> Decoding<'a> {
    pub(super) fn new(context: &'a DecodeContext) -> Self {
        Self { context, expressions: RefCell::default() }
    }

    /// An expression that must match a whole text.
    pub(super) fn full_regex(&self, pattern: &str) -> Checked<FullRegex> {
        let mut expressions = self.expressions.borrow_mut();
        if let Some(known) = expressions.full.get(pattern) {
            return Ok(known.clone());
        }
        let regex = self.context.regexes.full(pattern)?;
        expressions.full.insert(pattern.to_owned(), regex.clone());
        expressions.add(regex.size(), self.context.max_regex_size)?;
        Ok(regex)
    }

    /// An expression that is searched in a text.
    pub(super) fn capturing_regex(&self, pattern: &str) -> Checked<CapturingRegex> {
        let mut expressions = self.expressions.borrow_mut();
        if let Some(known) = expressions.capturing.get(pattern) {
            return Ok(known.clone());
        }
        let regex = self.context.regexes.capturing(pattern)?;
        expressions.capturing.insert(pattern.to_owned(), regex.clone());
        expressions.add(regex.size(), self.context.max_regex_size)?;
        Ok(regex)
    }
}

impl Expressions {
    /// Nothing further is compiled once the limit is exceeded.
    fn add(&mut self, size: usize, limit: usize) -> Checked<()> {
        self.size += size;
        if self.size <= limit {
            return Ok(());
        }
        let (count, size) = (self.full.len() + self.capturing.len(), self.size);
        Err(Invalid::new(format!(
            "the resource's regular expressions up to this one, {count} different ones, take {size} bytes, more than the \
             limit of {limit} (Options::max_regex_size)"
        )))
    }
}

impl Deref for Decoding<'_> {
    type Target = DecodeContext;

    fn deref(&self) -> &DecodeContext {
        self.context
    }
}

impl fmt::Debug for Decoding<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Decoding").field("context", &self.context).finish_non_exhaustive()
    }
}
