//! What this library counts.

use super::CounterFamily;

/// All families of this library; filters of a user may count others. A new one gets a row in docs/xds-client.md, too.
pub const FAMILIES: &[&CounterFamily] = &[];
