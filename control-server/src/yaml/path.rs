//! The path of a field in a document.

use std::borrow::Cow;
use std::fmt;

/// One step of a [`FieldPath`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Segment {
    /// A field of a mapping.
    Field(Cow<'static, str>),
    /// An item of a list.
    Index(usize),
}

/// The path of a field, shown as `spec.http[0].route[1].weight`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct FieldPath(Vec<Segment>);

impl FieldPath {
    /// The document itself.
    pub(crate) const fn root() -> Self {
        Self(Vec::new())
    }

    /// `spec`, where nearly every path starts.
    pub(crate) fn spec() -> Self {
        Self::root().field("spec")
    }

    /// The field `name` of this one.
    pub(crate) fn field(&self, name: impl Into<Cow<'static, str>>) -> Self {
        self.step(Segment::Field(name.into()))
    }

    /// The field of a mapping whose keys are free text.
    pub(crate) fn key(&self, name: &str) -> Self {
        self.step(Segment::Field(Cow::Owned(name.to_owned())))
    }

    /// The item `index` of this list.
    pub(crate) fn index(&self, index: usize) -> Self {
        self.step(Segment::Index(index))
    }

    /// Whether this is `part` or a field of it.
    pub(crate) fn is_within(&self, part: &Self) -> bool {
        self.0.starts_with(&part.0)
    }

    pub(crate) fn from_segments(segments: Vec<Segment>) -> Self {
        Self(segments)
    }

    pub(crate) fn segments(&self) -> &[Segment] {
        &self.0
    }

    fn step(&self, segment: Segment) -> Self {
        let mut segments = self.0.clone();
        segments.push(segment);
        Self(segments)
    }
}

impl fmt::Display for FieldPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, segment) in self.0.iter().enumerate() {
            match segment {
                Segment::Index(index) => write!(f, "[{index}]")?,
                Segment::Field(name) if !is_plain(name) => write!(f, "[\"{name}\"]")?,
                Segment::Field(name) if position == 0 => f.write_str(name)?,
                Segment::Field(name) => write!(f, ".{name}")?,
            }
        }
        Ok(())
    }
}

fn is_plain(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
}
