//! Values of rules: a text, a part of one, or any.

use crate::finding::Findings;
use crate::yaml::FieldPath;

/// How a text is matched: `abc`, `abc*`, `*abc` or `*`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Text<'a> {
    Exact(&'a str),
    Prefix(&'a str),
    Suffix(&'a str),
    /// Any text but none.
    Present,
}

impl<'a> Text<'a> {
    pub(crate) fn parse(value: &'a str) -> Self {
        match (value.strip_prefix('*'), value.strip_suffix('*')) {
            (Some(""), _) => Self::Present,
            (_, Some(prefix)) => Self::Prefix(prefix),
            (Some(suffix), None) => Self::Suffix(suffix),
            (None, None) => Self::Exact(value),
        }
    }

    /// The text that is written out.
    pub(crate) const fn literal(self) -> &'a str {
        match self {
            Self::Exact(text) | Self::Prefix(text) | Self::Suffix(text) => text,
            Self::Present => "",
        }
    }
}

/// Checks values that may have `*` at one end.
pub(super) fn check(values: &[String], path: &FieldPath, findings: &mut Findings) {
    for (index, value) in values.iter().enumerate() {
        if value.is_empty() || Text::parse(value).literal().contains('*') {
            let message =
                format!("found `{value}`, expected a text, with `*` in front of it or behind it at most");
            findings.error(path.index(index), message);
        }
    }
}

/// The regular expression of a path with `{*}` for one segment, or `{**}` for any number of them at the end; `None`: the path
/// is no template. A brace elsewhere is an error.
pub(crate) fn path_template(path: &str) -> Result<Option<String>, &'static str> {
    if !path.contains(['{', '}']) {
        return Ok(None);
    }
    const FORM: &str = "a segment of `{*}`, or `{**}` once";
    let segments = path.strip_prefix('/').ok_or("a path that starts with `/`")?.split('/');
    let mut regex = String::new();
    let mut has_rest = false;
    for segment in segments {
        regex.push('/');
        match segment {
            "{*}" => regex.push_str("[^/]+"),
            "{**}" if has_rest => return Err(FORM),
            "{**}" => {
                has_rest = true;
                regex.push_str(".*");
            }
            literal if literal.contains(['{', '}', '*']) => return Err(FORM),
            literal => regex.push_str(&regex::escape(literal)),
        }
    }
    Ok(Some(regex))
}
