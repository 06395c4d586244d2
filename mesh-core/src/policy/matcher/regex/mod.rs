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
mod full;
mod syntax;
#[cfg(test)]
mod tests;

pub use cache::RegexCache;
pub use capturing::CapturingRegex;
pub use full::FullRegex;
