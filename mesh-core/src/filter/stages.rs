//! Which parts of a call a filter takes part in.

use std::ops::BitOr;

/// Which parts of a call a filter takes part in; combine them with `|`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Stages(u8);

impl Stages {
    /// No part: the filter is left out.
    pub const NONE: Self = Self(0);
    /// The request's head.
    pub const REQUEST: Self = Self(1);
    /// The response's head.
    pub const RESPONSE: Self = Self(1 << 1);
    /// The response's trailers.
    pub const TRAILERS: Self = Self(1 << 2);
    /// All of them.
    pub const ALL: Self = Self(Self::REQUEST.0 | Self::RESPONSE.0 | Self::TRAILERS.0);

    /// Whether some part is among both.
    pub const fn intersects(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}

impl BitOr for Stages {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}
