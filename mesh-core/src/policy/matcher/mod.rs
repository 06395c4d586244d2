//! Matchers: parsed once, evaluated per request without allocation where the pattern allows it.

mod fraction;
mod header;
mod header_view;
mod path;
mod regex;
mod string;
#[cfg(test)]
mod tests;

pub use fraction::Fraction;
pub use header::{HeaderMatcher, HeaderRule};
pub use header_view::HeaderView;
pub use path::PathMatcher;
pub use regex::{CapturingRegex, FullRegex, RegexCache};
pub use string::{StringMatcher, StringPattern};
