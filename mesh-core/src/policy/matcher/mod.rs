//! Matchers: parsed once, evaluated per request without allocation where the pattern allows it.

mod fraction;
mod header;
mod path;
mod regex;
mod string;

pub use fraction::Fraction;
pub use header::{HeaderMatcher, HeaderRule};
pub use path::PathMatcher;
pub use regex::FullRegex;
pub use string::{StringMatcher, StringPattern};
