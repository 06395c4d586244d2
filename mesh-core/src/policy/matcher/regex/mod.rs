//! Regular expressions in RE2's dialect: linear time, little memory, compiled once.
//!
//! A configuration of some kilobytes can hold thousands of expressions, so that one expression has to cost little:
//! - `\d`, `\w`, `\s` and `\b` are ASCII, as in RE2. Unicode's classes have hundreds of ranges; `\w{1,20}` takes 3 KB
//!   instead of 550 KB, and microseconds instead of 20 ms.
//! - One forward automaton is all that a match of the whole text needs.
//! - Equal expressions share their program: [`RegexCache`].
// RV-07

mod cache;
mod capturing;
mod syntax;
#[cfg(test)]
mod tests;

use std::fmt;
use std::hash::{Hash, Hasher};
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::{Arc, OnceLock};

use regex_automata::hybrid::dfa::{self, DFA};
use regex_automata::nfa::thompson::{self, WhichCaptures, pikevm::PikeVM};
use regex_automata::util::pool::Pool;
use regex_automata::{Anchored, Input};
use regex_syntax::hir::{Hir, Look};

use crate::config::ConfigError;

use syntax::{Parsed, SIZE_LIMIT, not_compiled, parse};

pub use cache::RegexCache;
pub use capturing::CapturingRegex;

/// An RE2-like expression that must match the entire text. Linear time.
///
/// Cheap to clone: clones share the program.
// RV-07
#[derive(Clone)]
pub struct FullRegex(Arc<Program>);

/// A compiled expression.
struct Program {
    pattern: Box<str>,
    classes_size: usize,
    dfa: DFA,
    /// The states that matches have needed so far, by thread; none before the first match.
    states: OnceLock<Pool<dfa::Cache, NewCache>>,
}

type NewCache = Box<dyn Fn() -> dfa::Cache + Send + Sync + UnwindSafe + RefUnwindSafe>;

impl FullRegex {
    /// Compiles `pattern`. A [`RegexCache`](super::RegexCache) does it once for all equal ones.
    ///
    /// # Errors
    /// [`ConfigError::InvalidRegex`] when it is longer than 32 KiB, when it is no expression of RE2, when it has more than
    /// 64 classes of Unicode, and when the program exceeds 1 MiB.
    pub fn new(pattern: &str) -> Result<Self, ConfigError> {
        // The expression is parsed by itself, so that `a)|(b` cannot slip through the anchors.
        let Parsed { hir, classes_size } = parse(pattern)?;
        let whole = Hir::concat(vec![Hir::look(Look::Start), hir, Hir::look(Look::End)]);
        let config =
            thompson::Config::new().which_captures(WhichCaptures::None).nfa_size_limit(Some(SIZE_LIMIT));
        let nfa = thompson::Compiler::new().configure(config).build_from_hir(&whole);
        let nfa = nfa.map_err(|error| not_compiled(pattern, error.size_limit(), &error))?;
        let config = dfa::Config::new().cache_capacity(STATES_LIMIT).skip_cache_capacity_check(true);
        let dfa = dfa::Builder::new().configure(config).build_from_nfa(nfa);
        let dfa = dfa.map_err(|error| not_compiled(pattern, None, &error))?;
        Ok(Self(Arc::new(Program { pattern: pattern.into(), classes_size, dfa, states: OnceLock::new() })))
    }

    /// Whether all of `text` matches.
    pub fn matches(&self, text: &str) -> bool {
        let Program { dfa, states, .. } = &*self.0;
        let states = states.get_or_init(|| {
            let dfa = dfa.clone();
            Pool::new(Box::new(move || dfa.create_cache()))
        });
        let input = Input::new(text).anchored(Anchored::Yes).earliest(true);
        match dfa.try_search_fwd(&mut states.get(), &input) {
            Ok(found) => found.is_some(),
            // As configured, the automaton has no reason to give up. The answer is right even if it did.
            Err(_) => PikeVM::new_from_nfa(dfa.get_nfa().clone())
                .is_ok_and(|machine| machine.is_match(&mut machine.create_cache(), input)),
        }
    }

    /// The pattern as configured.
    pub fn as_str(&self) -> &str {
        &self.0.pattern
    }

    /// What it costs, in bytes: the size of the program, and 4 KiB, or 64 KiB without regard to case, for each class of
    /// Unicode, for the time that it takes to read one. Matches add at most 32 KiB for each thread, for all but the largest programs.
    pub fn size(&self) -> usize {
        let Program { pattern, classes_size, dfa, .. } = &*self.0;
        size_of::<Program>() + pattern.len() + classes_size + dfa.get_nfa().memory_usage()
    }

    fn from_program(program: Arc<Program>) -> Self {
        Self(program)
    }

    fn program(&self) -> &Arc<Program> {
        &self.0
    }
}

impl fmt::Debug for FullRegex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("FullRegex").field(&self.as_str()).finish()
    }
}

impl PartialEq for FullRegex {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.as_str() == other.as_str()
    }
}

impl Eq for FullRegex {}

impl Hash for FullRegex {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

/// How many bytes of states a thread keeps for one expression.
const STATES_LIMIT: usize = 32 << 10;
