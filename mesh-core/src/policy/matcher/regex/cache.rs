//! Equal expressions share one program.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use crate::config::ConfigError;

use super::capturing::{CapturingProgram, CapturingRegex};
use super::{FullRegex, Program};

/// Compiles each distinct expression once, for as long as a configuration uses it.
///
/// One cache serves all configurations that may hold the same expressions, one after the other or at the same time. It
/// keeps nothing alive.
#[derive(Default)]
pub struct RegexCache {
    full: Programs<Program>,
    capturing: Programs<CapturingProgram>,
    compiled: AtomicU64,
}

impl RegexCache {
    /// The expression, compiled unless an equal one is in use.
    ///
    /// # Errors
    /// As for [`FullRegex::new`].
    pub fn full(&self, pattern: &str) -> Result<FullRegex, ConfigError> {
        let compile = || Ok(self.count(FullRegex::new(pattern)?).program().clone());
        self.full.find_or_add(pattern, compile).map(FullRegex::from_program)
    }

    /// The expression, compiled unless an equal one is in use.
    ///
    /// # Errors
    /// As for [`CapturingRegex::new`].
    pub fn capturing(&self, pattern: &str) -> Result<CapturingRegex, ConfigError> {
        let compile = || Ok(self.count(CapturingRegex::new(pattern)?).program().clone());
        self.capturing.find_or_add(pattern, compile).map(CapturingRegex::from_program)
    }

    /// How many expressions have been compiled.
    pub fn compiled(&self) -> u64 {
        self.compiled.load(Ordering::Relaxed)
    }

    fn count<T>(&self, compiled: T) -> T {
        self.compiled.fetch_add(1, Ordering::Relaxed);
        compiled
    }
}

impl fmt::Debug for RegexCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RegexCache").field("compiled", &self.compiled()).finish_non_exhaustive()
    }
}

/// Programs by their pattern.
struct Programs<T>(Mutex<Known<T>>);

struct Known<T> {
    programs: HashMap<Box<str>, Weak<T>>,
    /// At this many entries, unused ones are removed.
    sweep_at: usize,
}

impl<T> Default for Programs<T> {
    fn default() -> Self {
        Self(Mutex::new(Known { programs: HashMap::new(), sweep_at: FIRST_SWEEP }))
    }
}

impl<T> Programs<T> {
    /// The lock is not held while an expression is compiled, so two threads may compile the same one.
    fn find_or_add(
        &self,
        pattern: &str,
        compile: impl FnOnce() -> Result<Arc<T>, ConfigError>,
    ) -> Result<Arc<T>, ConfigError> {
        let lock = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = lock().programs.get(pattern).and_then(Weak::upgrade);
        if let Some(known) = known {
            return Ok(known);
        }
        let program = compile()?;
        let mut known = lock();
        if known.programs.len() >= known.sweep_at {
            known.programs.retain(|_, program| program.strong_count() > 0);
            known.sweep_at = FIRST_SWEEP.max(2 * known.programs.len());
        }
        known.programs.insert(pattern.into(), Arc::downgrade(&program));
        Ok(program)
    }
}

const FIRST_SWEEP: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_expressions_are_compiled_once_while_one_is_in_use() {
        let cache = RegexCache::default();
        let first = cache.full("a+").unwrap();
        let again = cache.full("a+").unwrap();
        assert!(Arc::ptr_eq(first.program(), again.program()));
        assert_eq!(cache.compiled(), 1);
        drop(first);
        assert_eq!(cache.full("a+").unwrap(), again);
        assert_eq!(cache.compiled(), 1);
        drop(again);
        cache.full("a+").unwrap();
        assert_eq!(cache.compiled(), 2, "it was not in use any more");
    }

    #[test]
    fn expressions_with_and_without_groups_are_cached_apart() {
        let cache = RegexCache::default();
        let (_full, _capturing) = (cache.full("a+").unwrap(), cache.capturing("a+").unwrap());
        let _again = cache.capturing("a+").unwrap();
        assert_eq!(cache.compiled(), 2);
    }

    #[test]
    fn cache_drops_unused_expressions() {
        let cache = RegexCache::default();
        let _kept: Vec<_> = (0..10).map(|n| cache.full(&format!("kept{n}")).unwrap()).collect();
        for n in 0..10_000 {
            cache.full(&format!("dropped{n}")).unwrap();
            assert!(cache.full.0.lock().unwrap().programs.len() <= FIRST_SWEEP);
        }
        assert_eq!(cache.compiled(), 10_010);
    }
}
