//! Expressions that replace parts of a string.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use regex_automata::meta;

use crate::config::ConfigError;

use super::syntax::{Parsed, SIZE_LIMIT, not_compiled, parse};

/// An RE2-like expression that is looked for in a text, with the groups that it captures. Linear time.
///
/// Cheap to clone: clones share the program.
#[derive(Clone)]
pub struct CapturingRegex(Arc<CapturingProgram>);

/// A compiled expression.
pub(super) struct CapturingProgram {
    pattern: Box<str>,
    classes_size: usize,
    regex: meta::Regex,
}

impl CapturingRegex {
    /// Compiles `pattern`. A [`RegexCache`](super::RegexCache) does it once for all equal ones.
    ///
    /// # Errors
    /// As for [`FullRegex::new`](super::FullRegex::new).
    pub fn new(pattern: &str) -> Result<Self, ConfigError> {
        let Parsed { hir, classes_size } = parse(pattern)?;
        // The values of headers are short: the engine that needs the least memory is fast enough.
        let config = meta::Config::new()
            .nfa_size_limit(Some(SIZE_LIMIT))
            .hybrid(false)
            .dfa(false)
            .onepass(false)
            .backtrack(false)
            .auto_prefilter(false);
        let regex = meta::Builder::new().configure(config).build_from_hir(&hir);
        let regex = regex.map_err(|error| not_compiled(pattern, error.size_limit(), &error))?;
        Ok(Self(Arc::new(CapturingProgram { pattern: pattern.into(), classes_size, regex })))
    }

    /// `text` with each match replaced by `replacement`, in which `${1}` is the first group and `$$` is `$`.
    pub fn replace_all<'t>(&self, text: &'t str, replacement: &str) -> Cow<'t, str> {
        let (mut replaced, mut end) = (None, 0);
        for captures in self.0.regex.captures_iter(text) {
            let Some(found) = captures.get_match() else { continue };
            let replaced = replaced.get_or_insert_with(String::new);
            replaced.push_str(&text[end..found.start()]);
            captures.interpolate_string_into(text, replacement, replaced);
            end = found.end();
        }
        match replaced {
            None => Cow::Borrowed(text),
            Some(replaced) => Cow::Owned(replaced + &text[end..]),
        }
    }

    /// How many groups it captures, the whole match included.
    pub fn groups(&self) -> usize {
        self.0.regex.captures_len()
    }

    /// The pattern as configured.
    pub fn as_str(&self) -> &str {
        &self.0.pattern
    }

    /// What it costs, in bytes, as for [`FullRegex::size`](super::FullRegex::size).
    pub fn size(&self) -> usize {
        let CapturingProgram { pattern, classes_size, regex } = &*self.0;
        size_of::<CapturingProgram>() + pattern.len() + classes_size + regex.memory_usage()
    }

    pub(super) fn from_program(program: Arc<CapturingProgram>) -> Self {
        Self(program)
    }

    pub(super) fn program(&self) -> &Arc<CapturingProgram> {
        &self.0
    }
}

impl fmt::Debug for CapturingRegex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("CapturingRegex").field(&self.as_str()).finish()
    }
}

impl PartialEq for CapturingRegex {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.as_str() == other.as_str()
    }
}

impl Eq for CapturingRegex {}
